package hub

import "github.com/eventtarget-go/toolkit/internal/framelog"

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

// Position is a place in a hub's log. The zero Position is no place.
type Position struct {
	at    framelog.Position
	valid bool
}
