package link

import (
	"context"
	"fmt"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// Close ends the link at once and never waits. What was accepted and is not yet
// out, and what waits for listeners, is discarded: counted, and told in faults.
// It returns nil.
func (l *Link) Close() error {
	l.end(eventtarget.ErrClosed)
	return nil
}

// end is Close, with the cause for whoever waits.
func (l *Link) end(cause error) {
	l.mu.Lock()
	if l.state == eventtarget.StateClosed {
		l.mu.Unlock()
		return
	}
	l.cancel(cause) // before anybody can see the state, and ask for the cause
	l.setState(Change{State: eventtarget.StateClosed, Cause: cause})
	conn, unsent := l.conn, l.out.Head().Seq-l.sent.Seq
	if conn == nil { // what was under way has not come back as received
		unsent = l.out.Head().Seq - l.acked.Seq
	}
	unsent += uint64(len(l.session.queue))
	l.broadcast()
	l.mu.Unlock()
	if conn != nil {
		_ = conn.Close(l.goodbye(nil))
	}
	if unsent > 0 {
		l.ReportFault(eventtarget.Fault{
			Kind: eventtarget.FaultDiscarded, Peer: l.opts.ID, Count: unsent, Err: cause,
		})
	}
	l.registry.Close()
	l.tell()
}

// Shutdown refuses new events, sends what was accepted, lets listeners finish and
// ends the link; ctx bounds all of it. See [eventtarget.Endpoint].
func (l *Link) Shutdown(ctx context.Context) error {
	if eventtarget.CallerOf(ctx) != eventtarget.NotListener {
		return l.fail("shutdown", eventtarget.Topic{}, eventtarget.ErrWouldBlock)
	}
	defer l.end(eventtarget.ErrClosed)
	l.mu.Lock()
	l.draining = true
	l.mu.Unlock()
	if err := l.awaitOut(ctx, l.out.Head()); err != nil {
		return l.fail("shutdown", eventtarget.Topic{}, err)
	}
	if err := l.registry.Shutdown(ctx); err != nil {
		return err
	}
	l.end(eventtarget.ErrClosed)
	select {
	case <-l.done:
	case <-ctx.Done(): // everything is drained; only the connection's end is not awaited
	}
	return nil
}

// Flush waits until what was accepted before is out: handed to the operating system, and in a
// session acknowledged by the other end. The error is [eventtarget.ErrClosed] if the link is
// closed first, and ctx's cause if ctx ends first. Inside an Inline listener, which may stand
// on the reader, it returns [eventtarget.ErrWouldBlock].
func (l *Link) Flush(ctx context.Context) error {
	err := eventtarget.ErrWouldBlock
	if eventtarget.CallerOf(ctx) != eventtarget.InlineListener {
		err = l.awaitOut(ctx, l.out.Head())
	}
	if err != nil {
		return l.fail("flush", eventtarget.Topic{}, err)
	}
	return nil
}

// awaitOut waits until everything before a position has been sent, and in a session been
// acknowledged.
func (l *Link) awaitOut(ctx context.Context, upto framelog.Position) error {
	for {
		l.mu.Lock()
		out := l.acked.Seq >= upto.Seq
		closed := l.state == eventtarget.StateClosed
		changed := l.change()
		l.mu.Unlock()
		switch {
		case out:
			return nil
		case closed:
			return eventtarget.ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Done is closed when the link is closed and its goroutines have ended.
func (l *Link) Done() <-chan struct{} { return l.done }

// Idle returns a channel that is closed as soon as the queued listeners have handled all
// that was delivered to them. While more arrives all the time that may be never.
func (l *Link) Idle() <-chan struct{} { return l.registry.Idle() }

// State tells how the link stands.
func (l *Link) State() eventtarget.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// Ready waits until the link is connected. It returns the cause if the link was
// closed, and ctx's cause if ctx ends first, with why the last dial failed.
func (l *Link) Ready(ctx context.Context) error {
	for {
		l.mu.Lock()
		state, changed, cause, over := l.state, l.change(), l.cause, l.over
		l.mu.Unlock()
		switch {
		case state == eventtarget.StateUp:
			return nil
		case state == eventtarget.StateClosed:
			return l.fail("ready", eventtarget.Topic{}, context.Cause(l.ctx))
		case over != nil:
			return l.fail("ready", eventtarget.Topic{}, over)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			err := context.Cause(ctx)
			if cause != nil {
				err = fmt.Errorf("%w (%w)", err, cause)
			}
			return l.fail("ready", eventtarget.Topic{}, err)
		}
	}
}

// setState changes the state; call tell once mu is released. Under mu.
func (l *Link) setState(c Change) {
	if l.state == c.State || l.state == eventtarget.StateClosed {
		return
	}
	l.state = c.State
	if l.opts.OnState != nil {
		l.changes = append(l.changes, c)
	}
}

// tell calls OnState for the changes not yet told, one caller at a time so that
// they are heard in order.
func (l *Link) tell() {
	for {
		l.mu.Lock()
		if l.telling || len(l.changes) == 0 {
			l.mu.Unlock()
			return
		}
		l.telling = true
		c := l.changes[0]
		l.changes = l.changes[1:]
		l.mu.Unlock()
		l.opts.OnState(c)
		l.mu.Lock()
		l.telling = false
		l.mu.Unlock()
	}
}
