package worker

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/option"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// PoolOptions says how many children there are, and what the hub is like whose spokes
// they are.
type PoolOptions struct {
	// Options are those of the hub. Adapter, Framing, Heartbeat and SessionTimeout are
	// set by StartPool: a spoke outlives its children anyway. WriteTimeout ends a child
	// that takes nothing for so long, and another takes its place.
	hub.Options
	// Worker is the program that every child runs, and how. Of the link's options in it
	// only Backoff counts; Restart and WhileDown do not: a child that ends is replaced,
	// however it ended, and what is dispatched meanwhile is kept, as the hub's bounds
	// and Overflow say.
	Worker Options
	// Size is how many children there are. Default: one for each processor that Go uses.
	Size int
}

func (o PoolOptions) withDefaults() (_ PoolOptions, err error) {
	o.Worker.Limits, o.Worker.WriteTimeout = o.Options.Limits, o.Options.WriteTimeout
	if o.Worker, err = o.Worker.withDefaults(); err != nil {
		return o, err
	}
	if err := option.NotNegative("Size", o.Size); err != nil {
		return o, err
	}
	def(&o.Size, runtime.GOMAXPROCS(0))
	o.Worker.Backoff = o.Worker.Backoff.WithDefaults()
	o.Adapter, o.Framing, o.Heartbeat, o.SessionTimeout = adapter, appendHeader, -1, -1
	o.WriteTimeout = forever // the pipes have their own
	return o, nil
}

// forever is longer than a spoke waits for its next child.
const forever = 100 * 365 * 24 * time.Hour

// Pool is a [hub.Hub] whose spokes are child processes that run one program: what is
// dispatched to the pool goes to all of them, and a listener hears every one.
// [Pool.Consumers] is a target of which each event goes to one.
//
// A spoke is a place, "worker-0" to "worker-(n-1)", not a process: it keeps its cursor
// and what waits for it while one child takes the place of another. OnConnect and
// OnDisconnect tell of places; children come and go with faults.
//
// Owns, beside what the hub does: a goroutine for each place, and what a [Worker] owns
// for its child.
type Pool struct {
	*hub.Hub
	opts      PoolOptions
	start     func(context.Context) (*child, error)
	places    []*place
	seed      maphash.Seed
	reloading chan struct{} // held by Reload
	wg        sync.WaitGroup
	done      chan struct{}
}

// StartPool starts the children and returns their pool; wait for Ready where it matters
// that they are there. A child that ends is replaced until the pool is closed, after the
// pause that Worker.Backoff says. The error is as that of [Start].
func StartPool(opts PoolOptions) (*Pool, error) {
	o, err := opts.withDefaults()
	if err == nil && !supported {
		err = errors.ErrUnsupported
	}
	if err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: err}
	}
	limit := wire.MaxFrame(o.Limits.WithDefaults())
	return newPool(o, func(ctx context.Context) (*child, error) { return o.Worker.start(ctx, limit) })
}

func newPool(o PoolOptions, start func(context.Context) (*child, error)) (*Pool, error) {
	h, err := hub.New(o.Options)
	if err != nil {
		return nil, err
	}
	p := &Pool{Hub: h, opts: o, start: start, seed: maphash.MakeSeed(), reloading: make(chan struct{}, 1), done: make(chan struct{})}
	for n := range o.Size {
		pl := newPlace(p, n)
		p.places = append(p.places, pl)
		_ = pl.attach() // keep tries again
		p.wg.Go(pl.keep)
	}
	go p.reap()
	return p, nil
}

// reap closes done when everything that the pool owned has ended.
func (p *Pool) reap() {
	<-p.Hub.Done()
	p.wg.Wait()
	close(p.done)
}

// Done is closed when the pool is closed and its goroutines have ended. Children that
// were told to end may take their times.
func (p *Pool) Done() <-chan struct{} { return p.done }

// Ready waits until every place has a child that is ready. When one cannot be started
// meanwhile it returns the cause; the pool goes on trying.
func (p *Pool) Ready(ctx context.Context) error {
	for _, pl := range p.places {
		if err := pl.ready(ctx); err != nil {
			return &eventtarget.Error{Op: "ready", Adapter: adapter, Err: err}
		}
	}
	return nil
}

// PIDs returns the process ids of the children, by place; 0 where none was started yet.
func (p *Pool) PIDs() []int {
	pids := make([]int, len(p.places))
	for n, pl := range p.places {
		if c := pl.child(); c != nil {
			pids[n] = c.cmd.Process.Pid
		}
	}
	return pids
}

// Reload replaces one child after the other, each in the way of [Worker.Reload]: the
// others go on meanwhile. An error says that this child and those of the places behind it
// were not replaced; they go on.
func (p *Pool) Reload(ctx context.Context) error {
	if err := p.reload(ctx); err != nil {
		return &eventtarget.Error{Op: "reload", Adapter: adapter, Err: err}
	}
	return nil
}

func (p *Pool) reload(ctx context.Context) error {
	if eventtarget.CallerOf(ctx) != eventtarget.NotListener {
		return eventtarget.ErrWouldBlock
	}
	select {
	case p.reloading <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.reloading }()
	ctx, cancel := until(ctx, p.Hub.Done())
	defer cancel()
	for _, pl := range p.places {
		if err := pl.ready(ctx); err != nil {
			return fmt.Errorf("%s: %w", pl.name, err)
		}
		next, err := p.start(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", pl.name, err)
		}
		l, _, _ := pl.current()
		if err := l.handOver(ctx, next); err != nil {
			return fmt.Errorf("%s: %w", pl.name, err)
		}
	}
	return nil
}

// Shutdown refuses new events, brings every child what was accepted and tells it to end,
// as [Worker.Shutdown] does. It returns when all have ended; ctx bounds it.
func (p *Pool) Shutdown(ctx context.Context) error {
	if err := p.Hub.Shutdown(ctx); err != nil {
		return err
	}
	select {
	case p.reloading <- struct{}{}: // as in Worker.Shutdown
		<-p.reloading
	case <-ctx.Done():
		return &eventtarget.Error{Op: "shutdown", Adapter: adapter, Err: context.Cause(ctx)}
	}
	for _, pl := range p.places {
		c := pl.child()
		if c == nil {
			continue
		}
		select {
		case <-c.gone:
		case <-ctx.Done():
			return &eventtarget.Error{Op: "shutdown", Adapter: adapter, Err: context.Cause(ctx)}
		}
	}
	return nil
}

// Consumers returns the pool as competing consumers: what is dispatched to it goes to one
// child, the same for the same topic, so that order holds per topic. It is one with what
// is dispatched to the pool or to a place. Its Add and Remove are those of the pool.
//
// Dispatch returns [ErrDown] for a moment when the place of the topic had to be made
// anew, because too much waited for it or it was closed.
func (p *Pool) Consumers() eventtarget.Target { return consumers{p} }

type consumers struct{ *Pool }

func (c consumers) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	topic := e.Topic()
	at := maphash.Comparable(c.seed, topic) % uint64(len(c.places))
	err := fmt.Errorf("%w: %w", ErrDown, eventtarget.ErrGone)
	if _, s, _ := c.places[at].current(); s != nil {
		err = s.Dispatch(ctx, e)
	}
	switch {
	case !errors.Is(err, eventtarget.ErrGone):
		return err
	case c.State() == eventtarget.StateClosed:
		err = eventtarget.ErrClosed
	default:
		err = ErrDown
	}
	return &eventtarget.Error{Op: "dispatch", Adapter: adapter, Topic: topic, Err: err}
}
