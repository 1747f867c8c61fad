package eventtarget

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// RegistryOptions sets up a [Registry].
type RegistryOptions struct {
	// Adapter names the kind of target in errors and faults.
	Adapter string
	// OnFault hears the faults; nil logs them with [slog.Default].
	OnFault func(Fault)
}

// Registry keeps the listeners of one target and delivers events to them. All
// of our targets are built on one; a third party's adapter uses it so that only
// its wire is left to write: pass Add and Remove on, call Deliver for each event
// that arrives, and Close or Shutdown at the end.
//
// All methods may be called from any goroutine and from inside a listener. No
// lock is held while a listener runs.
//
// Owns: a few workers that run queued listeners, only while there is something
// to run.
type Registry[T any] struct {
	opts RegistryOptions

	// What Deliver reads, without a lock: see table.go.
	exact atomic.Pointer[table[T]] // topics without wildcards
	wild  atomic.Pointer[table[T]] // selectors with wildcards; nil while there are none

	watched observers
	chunks  [len(chunkSizes)]sync.Pool // of *chunk[T]: see mailbox.go
	workers workers[T]

	discards atomic.Bool // Close was called
	lost     atomic.Bool // and has discarded something
	closing  atomic.Bool // no more Add and Deliver; set under mu

	mu    sync.Mutex // serialises everything below
	all   map[*listener[T]]struct{}
	seq   uint64
	ended bool // done is closed
	done  chan struct{}

	skipped uint64 // see skip
	told    bool   // Close has told what was discarded
}

// NewRegistry returns an empty registry.
func NewRegistry[T any](o RegistryOptions) *Registry[T] {
	r := &Registry[T]{opts: o, all: make(map[*listener[T]]struct{}), done: make(chan struct{})}
	r.exact.Store(newTable[T](1))
	r.workers.init(r.tryEnd)
	return r
}

// Add makes l hear the events on topic from now on. The error is [ErrClosed],
// [ErrInvalidTopic], ctx's own, or says what is wrong with l.
func (r *Registry[T]) Add(ctx context.Context, topic Topic, l Listener[T]) (*Registration, error) {
	if err := r.checkAdd(ctx, topic, l); err != nil {
		return nil, r.wrap("add", topic, err)
	}
	n := newListener(ctx, r, topic, l)
	r.mu.Lock()
	if r.closing.Load() {
		r.mu.Unlock()
		n.cancel()
		return nil, r.wrap("add", topic, ErrClosed)
	}
	r.seq++
	n.seq = r.seq
	r.all[n] = struct{}{}
	r.link(n)
	r.mu.Unlock()
	return &n.Registration, nil
}

func (r *Registry[T]) checkAdd(ctx context.Context, topic Topic, l Listener[T]) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if err := topic.CheckSelector(); err != nil {
		return err
	}
	return l.check()
}

// Remove ends a registration and never waits: events that wait for it are
// discarded, its context is cancelled, and its Done is closed as soon as none of
// its code runs. It is true for the one call that ended the registration.
func (r *Registry[T]) Remove(reg *Registration) bool {
	if reg == nil {
		return false
	}
	l, ok := reg.owner.(*listener[T])
	if !ok || l.registry != r {
		return false
	}
	first, _ := r.end(l)
	return first
}

// end removes l for whichever of Remove, Once and Close comes first, and tells
// how many waiting events that discarded.
func (r *Registry[T]) end(l *listener[T]) (first bool, discarded uint64) {
	if !l.removed.CompareAndSwap(false, true) {
		return false, 0
	}
	settled := r.unlink(l)
	l.cancel()
	if !l.inline {
		settled, discarded = l.box.close(r)
	}
	if discarded > 0 && r.discards.Load() { // before a Shutdown can see the end
		r.lost.Store(true)
	}
	if settled {
		r.finish(l)
	}
	return true, discarded
}

// finish marks the end of the last thing that l's code could do.
func (r *Registry[T]) finish(l *listener[T]) {
	r.mu.Lock()
	_, live := r.all[l]
	delete(r.all, l)
	r.mu.Unlock()
	if live {
		l.cancel()
		close(l.done)
		if release := l.release.Load(); release != nil {
			(*release)()
		}
		r.tryEnd()
	}
}

// Len returns how many registrations are live.
func (r *Registry[T]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// Hears tells whether an event on a topic would find a listener.
func (r *Registry[T]) Hears(t Topic) bool {
	found := func(in *atomic.Pointer[table[T]], eventType, id string) bool {
		all := in.Load()
		if all == nil {
			return false
		}
		l, _, _ := all.find(eventType, id)
		return l != nil
	}
	return found(&r.exact, t.Type, t.ID) || found(&r.wild, t.Type, Wildcard) || found(&r.wild, Wildcard, Wildcard)
}

// Close ends every registration at once, and never waits. The events that were
// still waiting are discarded: they are counted and told in one fault.
func (r *Registry[T]) Close() {
	r.refuse()
	r.discards.Store(true)
	r.mu.Lock()
	live := slices.Collect(maps.Keys(r.all))
	r.mu.Unlock()
	var discarded uint64
	for _, l := range live {
		_, n := r.end(l)
		discarded += n
	}
	r.mu.Lock()
	discarded += r.skipped
	r.skipped, r.told = 0, true
	r.mu.Unlock()
	r.tellDiscarded(discarded)
	r.tryEnd()
}

func (r *Registry[T]) tellDiscarded(n uint64) {
	if n > 0 {
		r.ReportFault(Fault{Kind: FaultDiscarded, Count: n, Err: ErrClosed})
	}
}

// skip is for an event that a worker has taken for a listener that has ended meanwhile, where
// Close does not find it any more.
func (r *Registry[T]) skip() {
	if !r.discards.Load() {
		return
	}
	r.lost.Store(true)
	r.mu.Lock()
	n := uint64(1)
	if !r.told {
		r.skipped, n = r.skipped+1, 0
	}
	r.mu.Unlock()
	r.tellDiscarded(n)
}

// Shutdown delivers nothing more, lets every listener finish what waits for it,
// ends all registrations and waits for that. If ctx ends first it discards the
// rest as Close does and returns ctx's cause; if a Close has discarded something, ErrClosed.
// Inside a listener it returns [ErrWouldBlock] and does nothing.
func (r *Registry[T]) Shutdown(ctx context.Context) error {
	if CallerOf(ctx) != NotListener {
		return r.wrap("shutdown", Topic{}, ErrWouldBlock)
	}
	r.refuse()
	r.mu.Lock()
	live := slices.Collect(maps.Keys(r.all))
	r.mu.Unlock()
	for _, l := range live {
		if l.inline || l.box.drain() {
			r.end(l)
		}
	}
	r.tryEnd()
	select {
	case <-r.done: // what is drained is drained, whatever ctx says
	default:
		select {
		case <-r.done:
		case <-ctx.Done():
			r.Close()
			return r.wrap("shutdown", Topic{}, context.Cause(ctx))
		}
	}
	if r.lost.Load() {
		return r.wrap("shutdown", Topic{}, ErrClosed)
	}
	return nil
}

// Idle returns a channel that is closed as soon as no event waits for a queued listener
// and none of them runs: everything that was delivered before has been handled. While
// more is delivered all the time that may be never.
func (r *Registry[T]) Idle() <-chan struct{} { return r.workers.idling() }

// refuse makes Add and Deliver return ErrClosed.
func (r *Registry[T]) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing.Store(true)
	r.exact.Store(newTable[T](1))
	r.wild.Store(nil)
}

// Closed tells whether Close or Shutdown was called.
func (r *Registry[T]) Closed() bool { return r.closing.Load() }

// Done is closed when the registry is closed and nothing of it runs any more.
func (r *Registry[T]) Done() <-chan struct{} { return r.done }

// tryEnd closes done once the registry is closed, every registration has ended
// and no worker is left.
func (r *Registry[T]) tryEnd() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing.Load() && !r.ended && len(r.all) == 0 && r.workers.idle() {
		r.ended = true
		close(r.done)
	}
}

// ReportFault hands f to the OnFault hook, with the adapter's name filled in. It
// implements [FaultReporter].
func (r *Registry[T]) ReportFault(f Fault) {
	if f.Adapter == "" {
		f.Adapter = r.opts.Adapter
	}
	defer func() { _ = recover() }() // a hook that panics has no hook to tell
	r.watched.tell(f)
	if r.opts.OnFault == nil {
		slog.Warn("event target fault", slog.Any("fault", f))
		return
	}
	r.opts.OnFault(f)
}

// Observe has fn called for each fault, beside the OnFault hook, until stop is called. It
// implements [FaultSource].
func (r *Registry[T]) Observe(fn func(Fault)) (stop func()) { return r.watched.add(fn) }

// crash tells how a function ended that did not return; cause is what was recovered.
func crash(what string, cause any) error {
	switch c := cause.(type) {
	case nil:
		return fmt.Errorf("%s ended its goroutine (runtime.Goexit)", what)
	case error:
		return fmt.Errorf("%s panicked: %w", what, c)
	default:
		return fmt.Errorf("%s panicked: %v", what, c)
	}
}

// caught reports what a listener did instead of returning.
func (r *Registry[T]) caught(l *listener[T], cause any, peer string) {
	f := Fault{Kind: FaultPanic, Topic: l.topic, Peer: peer, Err: crash("listener", cause)}
	f.Stack = make([]byte, 16<<10)
	f.Stack = f.Stack[:runtime.Stack(f.Stack, false)]
	r.ReportFault(f)
}

func (r *Registry[T]) wrap(op string, topic Topic, err error) error {
	return &Error{Op: op, Adapter: r.opts.Adapter, Topic: topic, Err: err}
}
