package hub

import (
	"errors"
	"strconv"
	"strings"

	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// FrameWriter is implemented by a [link.Conn] that takes many framed messages in
// one write. Options.Framing says how they are framed. All calls come from one
// goroutine at a time, and never together with Send, which is not used then.
type FrameWriter interface {
	// TryWriteFrames writes as much of frames, whole frames one behind the other, as
	// is possible without waiting. n is how many bytes the connection has taken
	// charge of, which is always the end of a frame: one that is cut short is
	// the connection's to finish. blocked means that it can take no more, or has
	// something to finish, until a WriteFrames has returned. A connection that cannot
	// write without waiting returns 0, true.
	TryWriteFrames(frames []byte) (n int, blocked bool, err error)
	// WriteFrames writes frames, and before them what a TryWriteFrames left; it may block.
	// frames may be empty. The hub ends a call that takes too long by closing.
	WriteFrames(frames []byte) error
}

// Encoder is implemented by a [FrameWriter] that frames messages in its own way, and not
// as Options.Framing says. What many spokes are sent is encoded once for all that have the
// same encoding. Of what it is given it takes all or nothing.
type Encoder interface {
	FrameWriter
	// Encoding tells encodings apart: connections for which it is equal write the same
	// bytes for the same message. It must be comparable.
	Encoding() any
	// AppendMessage appends a message as the connection writes it.
	AppendMessage(dst []byte, m Message) []byte
}

// Idler is implemented by a [link.Conn] that need not have a goroutine wait in Receive as long
// as its peer is silent: a goroutine's stack is most of what an idle spoke takes.
type Idler interface {
	// ReceiveIdle is Receive, but may return ErrIdle if no part of a message has come. ready is
	// called, once and in a goroutine of its own, as soon as there is something to receive,
	// or the connection has ended.
	ReceiveIdle(ready func()) ([]byte, error)
	// Quiet tells that nothing was received since the heartbeat before: a ReceiveIdle that
	// waits is to return ErrIdle, and so are those that come, until there is a message.
	Quiet()
}

// ErrIdle is what an [Idler] returns.
var ErrIdle = errors.New("hub: nothing to receive")

// Message is one that an Encoder appends.
type Message struct {
	// Envelope is the message itself.
	Envelope []byte
	// After is the place in the hub's log behind it. The zero Position: it stands
	// there nowhere, as what is dispatched to one spoke alone.
	After Position
}

// Position is a place in a hub's log. The zero Position is no place.
type Position struct {
	at    framelog.Position
	valid bool
	lost  bool // it names no place in this log
}

// FormatPosition returns a text by which a peer can name a place in the log, and go on
// from there over another connection: see ParsePosition. Empty for the zero Position.
func (h *Hub) FormatPosition(p Position) string {
	if !p.valid || p.lost {
		return ""
	}
	return h.epoch + "." + strconv.FormatUint(p.at.Seq, 10)
}

// ParsePosition returns the place that a text names. What names no place in the log of
// this hub, such as one of the time before it was started, is a Position at which an
// unknown number of events is missing.
func (h *Hub) ParsePosition(text string) Position {
	epoch, digits, _ := strings.Cut(text, ".")
	seq, err := strconv.ParseUint(digits, 10, 64)
	head, tail := h.log.Head(), h.log.Tail()
	switch {
	case err != nil || epoch != h.epoch || seq > head.Seq:
		return Position{at: head, valid: true, lost: true}
	case seq < tail.Seq:
		return Position{at: framelog.Position{Seq: seq}, valid: true} // before all that there is
	}
	if at, ok := h.log.Find(seq); ok {
		return Position{at: at, valid: true}
	}
	return Position{at: framelog.Position{Seq: seq}, valid: true} // it has just gone
}
