package link

import "github.com/eventtarget-go/toolkit/eventtarget"

// Conn is a message connection: all that a transport has to offer to become a
// spoke (package link) and a hub (package hub). The engines bring everything
// else: envelopes, order, queues, heartbeats, reconnecting.
//
// For implementers: the engine calls Send from one goroutine at a time and
// Receive from one goroutine at a time, the two concurrently, and Close from any
// goroutine at any time, more than once. No context of a caller ever reaches a
// Conn: the engine ends a call that takes too long by closing.
//
// Behind a write that failed the engine writes nothing more. Where messages stand one behind the
// other in a stream of bytes, the Conn sees to it that a ping and what Close writes do not
// follow a message that was cut short, either: the peer would take them for its rest.
type Conn interface {
	// Send sends one message. It may block; it must not keep msg. An error
	// means that the peer has not got the message and that the connection is
	// of no more use.
	Send(msg []byte) error
	// Receive returns the next message, which the caller may keep. It refuses
	// a message over the size that the transport was set to. When the peer
	// closed with a reason, the error is, or wraps, an [eventtarget.Reason]
	// with Remote set.
	Receive() ([]byte, error)
	// Close ends the connection and returns without waiting for the peer. What
	// was sent before still arrives if the peer reads it soon; the peer is told
	// the reason where the transport can. Blocked calls of Send return at once,
	// those of Receive within two seconds.
	Close(reason eventtarget.Reason) error
}

// FrameSender is implemented by a Conn that takes many framed messages in one write:
// Options.Framing says how they are framed. What the link sends beside events goes
// through Send.
type FrameSender interface {
	// WriteFrames writes frames; it may block, and must not keep them. After an error it
	// is unknown which of them the peer has got: without a session they count as lost,
	// but for those that a [ShortWrite] says it has not.
	WriteFrames(frames []byte) error
}

// TryFrameSender is implemented by a FrameSender that can write without waiting. A
// Dispatch that comes alone then writes by itself, and wakes nobody to do it.
type TryFrameSender interface {
	FrameSender
	// TryWriteFrames writes what of frames is possible without waiting: n bytes, always
	// whole frames, of which the connection has taken charge. blocked means that it takes
	// no more, or has something to finish, until a WriteFrames, perhaps of nothing, has
	// returned.
	TryWriteFrames(frames []byte) (n int, blocked bool, err error)
}

// ShortWrite is the error of a WriteFrames that knows how far it came.
type ShortWrite struct {
	// Written is the size of the frames that were written whole. Those behind are sent
	// over the next connection.
	Written int
	// Err is why it came no further.
	Err error
}

// Error returns the cause's text.
func (e *ShortWrite) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ShortWrite) Unwrap() error { return e.Err }

// Pinger is implemented by a Conn whose transport can ask the peer for a sign of
// life. Without it a dead peer is noticed only by a write that fails.
type Pinger interface {
	// Ping asks for a sign of life and does not wait for it.
	Ping() error
	// Heard returns a number that has changed whenever there was a sign of life
	// since it was last asked for.
	Heard() uint64
}

// Acknowledger is implemented by a Conn that tells the other end in its own way what was
// delivered, without a session.
type Acknowledger interface {
	// Delivered is called before the next Receive when what the last one returned has been
	// delivered: Inline listeners have handled it, queued ones have it, and [Link.Idle] tells
	// when they are through with that. It is not called for what nobody hears because the
	// link is about to end.
	Delivered()
}

// Negotiated is implemented by a Conn whose transport lets both ends agree on sessions
// when the connection is made, as with a subprotocol of WebSocket (RFC 6455 §1.9).
// Without it both ends are plain: what is under way when the connection breaks is lost.
type Negotiated interface {
	// Protocol returns the version of the session protocol that both ends know: 1,
	// or 0 for none.
	Protocol() int
}

// Resumer is implemented by a Conn whose transport has told the other end, without a
// session, what was received over the connection before: the other end then goes on
// there, and the link tells no gap of its own.
type Resumer interface {
	// Resumed tells whether that was done.
	Resumed() bool
}
