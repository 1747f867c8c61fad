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

	mu    sync.Mutex
	child *child // nil before the first
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
	w := &Worker{opts: o, limit: wire.MaxFrame(o.Limits.WithDefaults())}
	o.Options.Adapter, o.Options.Dial, o.Options.Conn = adapter, w.dial, nil
	o.Framing, o.Retry = appendHeader, w.again
	o.Heartbeat = -1
	o.DialTimeout = 2 * o.HandshakeTimeout // the handshake has its own
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
	w.mu.Lock()
	defer w.mu.Unlock()
	w.child = c
	return c, nil
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

// Dispatch accepts e for the child; see [link.Link.Dispatch]. While there is none,
// Options.WhileDown says what happens.
func (w *Worker) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	if w.opts.WhileDown == Refuse {
		if s := w.State(); s == eventtarget.StateConnecting || s == eventtarget.StateDown {
			return &eventtarget.Error{Op: "dispatch", Adapter: adapter, Topic: e.Topic(), Err: ErrDown}
		}
	}
	return w.Link.Dispatch(ctx, e)
}

// PID returns the process id of the child; 0 if none was started yet.
func (w *Worker) PID() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.child == nil {
		return 0
	}
	return w.child.cmd.Process.Pid
}

// Shutdown refuses new events, sends what was accepted, lets listeners finish, and tells
// the child to end: by closing its pipe, after TermTimeout by a signal, after KillTimeout
// by force. It returns when the child has ended. ctx bounds all of it; the child gets its
// times nevertheless.
func (w *Worker) Shutdown(ctx context.Context) error {
	err := w.Link.Shutdown(ctx)
	w.mu.Lock()
	c := w.child
	w.mu.Unlock()
	if err != nil || c == nil {
		return err
	}
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return &eventtarget.Error{Op: "shutdown", Adapter: adapter, Err: context.Cause(ctx)}
	}
}
