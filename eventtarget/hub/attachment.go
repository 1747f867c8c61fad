package hub

import (
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// attachment is one connection of a spoke. One with a session may have several, one
// after the other.
type attachment struct {
	conn    link.Conn
	frames  FrameWriter     // conn, if it is one
	encoder Encoder         // conn, if it is one
	broken  bool            // a write on it has failed: none follows. The writer's
	expired atomic.Bool     // what the peer proved holds no longer: nothing that it says is heard
	ready   func()          // goes on reading, where conn, an Idler, has stopped; nil: it is none
	first   <-chan received // nil, or what is read first: see greet
	cause   atomic.Pointer[eventtarget.Reason]
	topics  *wire.Topics // of its events; nil until there is one. Of whoever handles what was read

	// turn counts what was read and what of that was handled: it is odd while something
	// is. See relief.
	turn   atomic.Uint64
	relief relief

	// Heartbeats: the heartbeat goroutine's.
	heard  uint64
	misses int
	stuck  uint64 // turn at the last beat
}

// received is what a Receive returned.
type received struct {
	msg []byte
	err error
}

func newAttachment(conn link.Conn, first <-chan received) *attachment {
	a := &attachment{conn: conn, first: first}
	a.frames, _ = conn.(FrameWriter)
	a.encoder, _ = conn.(Encoder)
	return a
}

// receive returns the next message, or ErrIdle if ready will be called.
func (a *attachment) receive() ([]byte, error) {
	if a.first != nil {
		r := <-a.first
		a.first = nil
		return r.msg, r.err
	}
	if a.ready != nil {
		return a.conn.(Idler).ReceiveIdle(a.ready)
	}
	return a.conn.Receive()
}

// fail ends the connection for a reason of its own; its reader sees to the rest.
func (a *attachment) fail(r eventtarget.Reason) {
	if a.cause.CompareAndSwap(nil, &r) {
		_ = a.conn.Close(r)
	}
}

// reason is why the connection ended, when reading from it failed.
func (a *attachment) reason(err error) eventtarget.Reason {
	if r := a.cause.Load(); r != nil {
		return *r
	}
	return reasonOf(err)
}

// attached returns the connection that the spoke has now; nil while it is down.
func (s *Spoke) attached() *attachment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.att
}

// has tells whether a connection is the spoke's, which is not about to leave.
func (s *Spoke) has(a *attachment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.att == a && !s.ending.Load()
}

// State tells whether the spoke has a connection: [eventtarget.StateUp], or, for one
// whose session waits for it to come back, [eventtarget.StateDown]; and
// [eventtarget.StateClosed] once it has left or is about to.
func (s *Spoke) State() eventtarget.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ending.Load():
		return eventtarget.StateClosed
	case s.att == nil:
		return eventtarget.StateDown
	default:
		return eventtarget.StateUp
	}
}

// lost ends a connection that is of no more use. A spoke without a session ends with
// it.
func (s *Spoke) lost(a *attachment, r eventtarget.Reason) {
	if s.session == nil {
		s.end(r)
	} else {
		a.fail(r)
	}
}

// outlives tells whether a session outlives a connection that ended so: neither end
// wanted the conversation to be over.
func outlives(r eventtarget.Reason) bool {
	switch r.Code {
	case eventtarget.CodeLost, eventtarget.CodeTimeout, eventtarget.CodeSlow, eventtarget.CodeExpired:
		return true
	}
	return false
}

// detach sees to a spoke that has lost its connection, or is to leave. The reader
// calls it as its last act.
func (s *Spoke) detach(a *attachment, reason eventtarget.Reason) {
	_ = a.conn.Close(reason)
	s.uplink.settle() // so that what it brought is heard first
	s.mu.Lock()
	if s.att != a { // another connection has taken over
		s.mu.Unlock()
		return
	}
	down := s.session != nil && !s.ending.Load() && outlives(reason)
	if down {
		s.att = nil
		s.session.expire(s, reason)
		// Before another connection can take over, which has the spoke swept again.
		s.shard.remove(s)
		s.hub.pace.unparked(s)
		s.inbox.letGo()
	}
	s.mu.Unlock()
	if !down {
		s.end(reason)
		s.depart()
		return
	}
	if s.hub.State() == eventtarget.StateClosed { // Shutdown may not have seen it down
		s.end(reason)
	}
}

// depart is the end of a spoke.
func (s *Spoke) depart() {
	s.leave()
	s.hub.wg.Done()
}
