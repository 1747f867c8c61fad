package wsserver

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/rawconn"
)

// idle is what a socket needs to be without a goroutine that reads: see [hub.Idler]. The
// library is asked for the next message, and finds hub.ErrIdle where a frame would begin.
// Behind that it can be asked again.
type idle struct {
	quiet    atomic.Bool // nothing has come for a while
	allowed  bool        // ErrIdle is. This and what follows is the reader's
	boundary bool        // nothing has come of the next frame, outside of messages
	watch    rawconn.Watch
}

// ReceiveIdle implements [hub.Idler].
func (c *connection) ReceiveIdle(ready func()) ([]byte, error) {
	c.idle.allowed = true
	for {
		c.atBoundary()
		msg, err := c.Receive()
		c.idle.boundary = false
		switch {
		case !errors.Is(err, hub.ErrIdle):
			if c.idle.quiet.Load() && err == nil {
				c.idle.quiet.Store(false)
			}
			return msg, err
		case c.raw.Await(&c.idle.watch, ready):
			return nil, hub.ErrIdle // by now the next reader may be at work
		}
		c.idle.quiet.Store(false) // it waits after all
	}
}

// Quiet implements [hub.Idler].
func (c *connection) Quiet() {
	if c.raw.CanAwait() && c.idle.quiet.CompareAndSwap(false, true) {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // which calls the reader back
	}
}

// pinged and ponged are called when the library has read a control frame to its end.
func (c *connection) pinged(context.Context, []byte) bool { c.atBoundary(); return true }
func (c *connection) ponged(context.Context, []byte)      { c.atBoundary() }

// atBoundary notes that a frame was read to its end.
func (s *socket) atBoundary() {
	s.idle.boundary = s.idle.allowed && !s.inside && s.library.Buffered() == 0
}

// fill reads into the buffer. It does not wait for the beginning of a frame while the peer is
// quiet: there it is hub.ErrIdle.
func (s *socket) fill() error {
	for {
		idle := s.idle.boundary && s.idle.quiet.Load()
		err := s.raw.Fill(&s.buffer, !idle)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			_ = s.SetReadDeadline(time.Time{}) // Quiet's
		case idle && err == nil && s.buffer.Buffered() == 0:
			return hub.ErrIdle
		default:
			return err
		}
	}
}
