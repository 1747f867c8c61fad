package worker

import (
	"context"
	"errors"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

const adapter = "worker"

// Worker is a [link.Link] to a child process.
//
// Owns, beside what the link does: a goroutine with an operating system's thread of
// its own for the child, and those that take what it prints.
type Worker struct {
	*link.Link
	opts  Options
	limit int

	reloading chan struct{} // held by Reload

	mu   sync.Mutex
	line *line // nil before the first
}

// Start starts a program, which must call [Parent], and returns a target that talks to
// it; wait for Ready where it matters that it is there. The target lives until it is
// closed, or the child ends and is not started again. On a system where this cannot be
// done safely the error is [errors.ErrUnsupported]; otherwise it says what is wrong with
// the options.
func Start(opts Options) (*Worker, error) {
	o, err := opts.withDefaults()
	if err == nil && !supported {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: err}
	}
	w := &Worker{opts: o, limit: wire.MaxFrame(o.Limits.WithDefaults()), reloading: make(chan struct{}, 1)}
	o.Options.Adapter, o.Options.Dial, o.Options.Conn = adapter, w.dial, nil
	o.Framing, o.Retry, o.Down = appendHeader, w.again, nil
	if o.WhileDown == Refuse {
		o.Down = ErrDown
	}
	o.Heartbeat = -1
	o.Subscribe = false                                       // a child is no hub, and answers no such question
	o.DialTimeout = 2 * (o.HandshakeTimeout + o.ReadyTimeout) // which bound it
	o.WriteTimeout += o.patience()                            // a write to a child has its own
	if w.Link, err = link.New(o.Options); err != nil {
		return nil, err
	}
	return w, nil
}

// dial starts a child.
func (w *Worker) dial(ctx context.Context) (link.Conn, error) {
	c, err := w.opts.start(ctx, w.limit)
	if err != nil {
		return nil, err
	}
	l := newLine()
	l.lost = func(e *Exit) { reportLost(w, w.opts.ID, e) }
	l.set(c)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = l
	return l, nil
}

// reportLost tells of a child that ended before it had handled all that it was given.
func reportLost(to eventtarget.FaultReporter, peer string, e *Exit) {
	to.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Peer: peer, Count: e.Unfinished, Err: e})
	to.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Peer: peer})
}

// child returns the child that is talked to; nil if none was started yet.
func (w *Worker) child() *child {
	w.mu.Lock()
	l := w.line
	w.mu.Unlock()
	if l == nil {
		return nil
	}
	c, _ := l.current()
	return c
}

// Reload starts another child, which takes the place of the one that is there once it
// is ready, and returns when it has.
//
// What was sent to the old child by then is handled by that one: it is told that nothing
// more will come, its listeners finish, and what they dispatch is heard. What is
// dispatched meanwhile waits for the new one, so that there is one order in both
// directions. Then the old one ends, in the way and in the times of Shutdown. If it fails
// at that, or has not finished in TermTimeout and KillTimeout, that is told in faults, as
// if it had ended by itself.
//
// An error says that the child that was there goes on, or, if it has ended by itself,
// is seen to as Options.Restart says. ctx bounds the time until the new child is ready.
// Inside a listener the error is [eventtarget.ErrWouldBlock].
func (w *Worker) Reload(ctx context.Context) error {
	if err := w.reload(ctx); err != nil {
		return &eventtarget.Error{Op: "reload", Adapter: adapter, Err: err}
	}
	return nil
}

func (w *Worker) reload(ctx context.Context) error {
	if eventtarget.CallerOf(ctx) != eventtarget.NotListener {
		return eventtarget.ErrWouldBlock
	}
	select {
	case w.reloading <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-w.reloading }()
	ctx, cancel := until(ctx, w.Done())
	defer cancel()
	if err := w.Ready(ctx); err != nil {
		return err
	}
	next, err := w.opts.start(ctx, w.limit)
	if err != nil {
		return err
	}
	w.mu.Lock()
	l := w.line
	w.mu.Unlock()
	return l.handOver(ctx, next)
}

// until returns a context that ends with ctx, or when a target is done: a child that it does
// not have any more is not to be started for it.
func until(ctx context.Context, done <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-done:
			cancel(eventtarget.ErrClosed)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// again tells whether a child that ended so is to be started again.
func (w *Worker) again(cause error) bool {
	exit, ended := errors.AsType[*Exit](cause)
	switch {
	case w.opts.Restart == Never, errors.Is(cause, ErrHandshake):
		return false
	case w.opts.Restart == OnFailure:
		return !ended || exit.Failed()
	default:
		return true
	}
}

// PID returns the process id of the child; 0 if none was started yet.
func (w *Worker) PID() int {
	c := w.child()
	if c == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

// Shutdown refuses new events, sends what was accepted, lets listeners finish, and tells
// the child to end: by closing its pipe, after TermTimeout by a signal, after KillTimeout
// by force. It returns when the child has ended. ctx bounds all of it; the child gets its
// times nevertheless.
func (w *Worker) Shutdown(ctx context.Context) error {
	if err := w.Link.Shutdown(ctx); err != nil {
		return err
	}
	select {
	case w.reloading <- struct{}{}: // the child that a Reload was about to start has ended
		<-w.reloading
	case <-ctx.Done():
		return &eventtarget.Error{Op: "shutdown", Adapter: adapter, Err: context.Cause(ctx)}
	}
	c := w.child()
	if c == nil {
		return nil
	}
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return &eventtarget.Error{Op: "shutdown", Adapter: adapter, Err: context.Cause(ctx)}
	}
}
