package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// line is a connection behind which one child takes the place of another: the engine
// that talks over it does not notice.
//
// Who holds turn writes, or exchanges the child. So a message is never cut in two, and
// what is written while a child is exchanged waits for the next one.
type line struct {
	// replace returns what takes the place of a child that has ended, and why it has:
	// nil and nil for the first. A nil replace, or its error, ends the line.
	replace func(ctx context.Context, c *child, cause error) (*child, error)
	// lost is told of a child that has handed over and did not end well.
	lost func(*Exit)

	ctx    context.Context // ends with the line
	cancel context.CancelCauseFunc
	turn   chan struct{}

	mu     sync.Mutex
	child  *child        // nil until the first
	next   *child        // takes its place when it has finished
	over   bool          // the child has ended, and nobody hands over from it
	change chan struct{} // closed and replaced when child changes
}

func newLine() *line {
	l := &line{turn: make(chan struct{}, 1), change: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// current returns the child, and what is closed when another takes its place.
func (l *line) current() (*child, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.child, l.change
}

// set makes c the child.
func (l *line) set(c *child) {
	l.mu.Lock()
	l.child, l.next, l.over = c, nil, false
	close(l.change)
	l.change = make(chan struct{})
	l.mu.Unlock()
	if err := context.Cause(l.ctx); err != nil { // closed meanwhile, and did not see it
		_ = c.Close(orderly(err))
	}
}

// Receive returns the next message, of whichever child.
func (l *line) Receive() ([]byte, error) {
	for {
		c, _ := l.current()
		var err error
		if c != nil {
			var msg []byte
			if msg, err = c.receive(); err == nil {
				return msg, nil
			}
			if l.handedOver(c, err) {
				continue
			}
			err = c.why(err)
			_ = c.Close(eventtarget.Reason{Code: eventtarget.CodeLost}) // so that who writes to it gives up
		}
		if err := l.exchange(c, err); err != nil {
			return nil, err
		}
	}
}

// exchange puts another child in the place of one that has ended, or of none.
func (l *line) exchange(c *child, cause error) error {
	if err := l.take(l.ctx); err != nil {
		return orError(cause, "the line was closed")
	}
	defer l.yield()
	if exit, ok := errors.AsType[*Exit](cause); ok {
		exit.Unfinished = c.unfinished() // nobody gives it more
	}
	if l.replace == nil {
		return cause
	}
	next, err := l.replace(l.ctx, c, cause)
	if err == nil {
		l.set(next)
	}
	return err
}

// handedOver makes the next child the one that is talked to, when the one before has
// finished. It is false when there is no next one.
func (l *line) handedOver(c *child, err error) bool {
	l.mu.Lock()
	next := l.next
	l.over = next == nil
	l.mu.Unlock()
	if next == nil || l.ctx.Err() != nil {
		return false
	}
	if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != eventtarget.CodeNormal || c.unfinished() > 0 {
		if exit := c.exit(err); exit.Failed() || exit.Unfinished > 0 {
			l.lost(exit)
		}
	}
	_ = c.pipes.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
	l.set(next)
	l.yield()
	return true
}

// handOver makes next take the child's place, and returns when it has. It is as well if
// the child has ended by itself and is replaced anyway. The error says that next has not,
// and is no longer there.
func (l *line) handOver(ctx context.Context, next *child) error {
	err := l.take(ctx)
	if err == nil {
		err = l.handOverNow(ctx, next)
	}
	if err != nil {
		_ = next.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
	}
	return err
}

// handOverNow is handOver for who has the turn, and gives it away.
func (l *line) handOverNow(ctx context.Context, next *child) error {
	l.mu.Lock()
	c, change := l.child, l.change
	over, failed := c == nil || l.over || c.ended(), next.ended() // nil: the reader is about to start the first
	if !over && !failed {
		l.next = next
	}
	l.mu.Unlock()
	switch {
	case failed:
		l.yield()
		return fmt.Errorf("the new one is no good: %w", next.exit(nil))
	case over:
		l.yield()
		_ = next.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
		if l.replace == nil {
			return errors.New("the old one has ended")
		}
	default: // the reader yields; there is no way back
		ctx = context.WithoutCancel(ctx)
		c.finish()
	}
	select {
	case <-change:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
}

// take waits for the turn.
func (l *line) take(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		if l.ctx.Err() == nil {
			return nil
		}
		l.yield()
		return context.Cause(l.ctx)
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *line) yield() { <-l.turn }

// Send sends one message.
func (l *line) Send(msg []byte) error {
	return l.WriteFrames(append(appendHeader(make([]byte, 0, headerSize+len(msg)), len(msg)), msg...))
}

// TryWriteFrames writes framed messages if the child takes them without waiting.
func (l *line) TryWriteFrames(frames []byte) (n int, blocked bool, err error) {
	select {
	case l.turn <- struct{}{}:
	default:
		return 0, true, nil
	}
	defer l.yield()
	c, _ := l.current()
	if c == nil || l.ctx.Err() != nil || !c.tryWrite(frames) {
		return 0, true, nil
	}
	messages, _ := whole(frames)
	c.given.Add(messages)
	return len(frames), false, nil
}

// WriteFrames writes framed messages. What a child has not got whole when it ends goes to
// the one that takes its place.
func (l *line) WriteFrames(frames []byte) error {
	size := len(frames)
	for len(frames) > 0 {
		if err := l.take(l.ctx); err != nil {
			return &link.ShortWrite{Written: size - len(frames), Err: err}
		}
		c, change := l.current()
		if c != nil {
			whole, err := c.give(frames)
			l.yield()
			if frames = frames[whole:]; err == nil {
				return nil
			}
			if l.replace == nil {
				return &link.ShortWrite{Written: size - len(frames), Err: err}
			}
			_ = c.Close(orderly(err)) // the reader sees to the rest
		} else {
			l.yield()
		}
		select {
		case <-change:
		case <-l.ctx.Done():
		}
	}
	return nil
}

// Close ends the line and its child.
func (l *line) Close(reason eventtarget.Reason) error {
	l.cancel(reason)
	if c, _ := l.current(); c != nil {
		return c.Close(orderly(reason))
	}
	return nil
}

// orderly is the reason that a child is ended with: what is orderly for an engine is so
// for it.
func orderly(err error) eventtarget.Reason {
	r, _ := errors.AsType[eventtarget.Reason](err)
	if r.Code == eventtarget.CodeGoingAway || r.Code == eventtarget.CodeRestart {
		r.Code = eventtarget.CodeNormal
	}
	return r
}

// patience is how long a write may wait for a child to be exchanged, beyond its own time.
func (o Options) patience() time.Duration { return o.TermTimeout + o.KillTimeout + 5*grace }
