package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Link is an [eventtarget.Endpoint] that talks to one other end, and the
// [eventtarget.Peer] that it names as the source of what that end sends. All
// methods may be called from any goroutine and from inside a listener.
//
// Owns: one goroutine that dials and reads, one that writes while there is something to
// write that no Dispatch can, in a session one that delivers while there is something to
// deliver, one for heartbeats, and its registry's workers.
type Link struct {
	opts     Options
	registry *eventtarget.Registry[eventtarget.Raw]
	ctx      context.Context // ends with the link
	cancel   context.CancelCauseFunc
	wg       sync.WaitGroup
	done     chan struct{}
	ignored  atomic.Uint64
	settled  atomic.Bool // Setup has returned

	unanswered int // greetings, one after the other. The goroutine's that connects, and its timer's

	out      *framelog.Log // what waits to be sent
	interest *interest     // nil: the other end is not asked for topics; under mu

	mu       sync.Mutex
	state    eventtarget.State
	changed  chan struct{} // closed and replaced whenever anything below changes
	draining bool          // Shutdown has begun
	over     error         // why it will not be up any more, before it is closed; see finish
	conn     Conn          // nil while there is none
	cause    error         // why there is none; of the last connection or dial
	ended    chan struct{} // closed when conn is no longer in use
	writable Conn          // conn, until a write on it failed
	writing  bool          // somebody writes
	owing    bool          // writable has something to finish
	wrote    time.Time     // when the last write ended, where a Dispatch may write itself
	sent     framelog.Position
	acked    framelog.Position // the other end has what is before it; up to sent
	session  session
	connects int
	changes  []Change // not yet told to OnState
	telling  bool     // somebody is telling them
}

// New returns a link, which begins to connect at once; wait for Ready where that
// matters. What the other end sends before a listener is added is heard by nobody: add
// those that must hear everything in Options.Setup. The error says what is wrong with the options.
func New(opts Options) (*Link, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: opts.Adapter, Err: err}
	}
	l := &Link{
		opts: opts,
		out:  framelog.New(opts.Framing, opts.LogBytes, opts.LogEvents),
		done: make(chan struct{}),
	}
	l.registry = eventtarget.NewRegistry[eventtarget.Raw](eventtarget.RegistryOptions{
		Adapter: opts.Adapter, OnFault: opts.OnFault,
	})
	if opts.Subscribe {
		l.interest = newInterest(opts.Subscriptions)
	}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	if opts.Setup != nil {
		opts.Setup(l)
	}
	l.settled.Store(true)
	l.wg.Go(func() { l.run(nil, time.Time{}, time.Time{}) })
	go l.reap()
	return l, nil
}

// reap closes done when everything that the link owned has ended.
func (l *Link) reap() {
	<-l.ctx.Done()
	l.wg.Wait()
	<-l.registry.Done()
	close(l.done)
}

// ID names the other end.
func (l *Link) ID() string { return l.opts.ID }

// Identity is who the other end proved to be, or empty.
func (l *Link) Identity() string { return l.opts.Identity }

// Add makes lis hear what the other end dispatches on topic. A plain link asks the
// other end for nothing: the listener is live when Add returns, connected or not. One
// that was set to Subscribe returns when the hub has confirmed the topic, and waits
// for that while it is down, bounded by ctx; the error is [eventtarget.ErrForbidden]
// when the hub refuses, and [eventtarget.ErrWouldBlock] inside an Inline listener.
func (l *Link) Add(ctx context.Context, topic eventtarget.Topic, lis eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	if l.interest == nil {
		return l.registry.Add(ctx, topic, lis)
	}
	if lis.Once && lis.Handle != nil { // it ends without a Remove
		handle := lis.Handle
		lis.Handle = func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
			l.unsubscribe(topic)
			handle(ctx, e)
		}
	}
	if err := topic.CheckSelector(); err != nil {
		return nil, l.fail("add", topic, err)
	}
	defer l.subscribe(topic)()
	r, err := l.registry.Add(ctx, topic, lis)
	if err != nil {
		l.unsubscribe(topic)
		return nil, err
	}
	if !l.settled.Load() {
		return r, nil
	}
	if err := l.confirmed(ctx, r); err != nil {
		l.Remove(r)
		return nil, l.fail("add", topic, err)
	}
	return r, nil
}

// Remove ends a registration; see [eventtarget.TypedEventTarget].
func (l *Link) Remove(r *eventtarget.Registration) bool {
	removed := l.registry.Remove(r)
	if removed && l.interest != nil {
		l.unsubscribe(r.Topic())
	}
	return removed
}

// Dispatch accepts e for the other end. It returns [eventtarget.ErrOverflow] when
// the log of what waits is full, or waits for room if the link is set to Block:
// then no longer than ctx, and not at all inside a listener
// ([eventtarget.ErrWouldBlock]). While there is no connection, Options.Down says what happens.
func (l *Link) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	if err := l.registry.CheckDispatch(ctx, e.Topic()); err != nil {
		return err
	}
	if l.opts.ReceiveOnly {
		return l.fail("dispatch", e.Topic(), fmt.Errorf("there is no way to send: %w", errors.ErrUnsupported))
	}
	if err := wire.Check(&e, l.opts.Limits); err != nil {
		return l.fail("dispatch", e.Topic(), err)
	}
	buf := wire.GetBuffer()
	defer wire.PutBuffer(buf)
	*buf = wire.Append((*buf)[:0], &e)
	if err := l.accept(ctx, *buf); err != nil {
		return l.fail("dispatch", e.Topic(), err)
	}
	if l.opts.Echo {
		return l.registry.Deliver(ctx, wire.Clone(&e))
	}
	return nil
}

// accept puts a message into the log.
func (l *Link) accept(ctx context.Context, msg []byte) error {
	for {
		l.mu.Lock()
		if l.draining || l.state == eventtarget.StateClosed {
			l.mu.Unlock()
			return eventtarget.ErrClosed
		}
		if l.opts.Down != nil && l.state != eventtarget.StateUp {
			l.mu.Unlock()
			return l.opts.Down
		}
		if l.out.TryAppend(msg) {
			l.wakeOrWrite()
			return nil
		}
		changed := l.change()
		l.mu.Unlock()
		switch {
		case l.opts.Overflow == eventtarget.Reject:
			return eventtarget.ErrOverflow
		case eventtarget.CallerOf(ctx) != eventtarget.NotListener:
			return eventtarget.ErrWouldBlock
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// change returns what is closed when something changes. Under mu.
func (l *Link) change() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// broadcast tells whoever waits that something changed. Under mu.
func (l *Link) broadcast() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Ignored returns how many control messages arrived that the link does not know.
func (l *Link) Ignored() uint64 { return l.ignored.Load() }

// ReportFault hands f to the OnFault hook.
func (l *Link) ReportFault(f eventtarget.Fault) { l.registry.ReportFault(f) }

func (l *Link) fail(op string, topic eventtarget.Topic, err error) error {
	return &eventtarget.Error{Op: op, Adapter: l.opts.Adapter, Topic: topic, Err: err}
}
