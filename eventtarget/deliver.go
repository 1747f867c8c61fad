package eventtarget

import (
	"context"
	"sync/atomic"
)

// Deliver brings e to the listeners on its topic: Inline ones are called, in the
// order in which they were added, queued ones find it in their queue. It returns
// [ErrInvalidTopic], [ErrClosed], or ctx's cause if ctx had ended, with nothing
// delivered. If a listener that asked for [Block] had no room until ctx ended,
// or had none and Deliver was called inside a listener ([ErrWouldBlock]), that
// is returned too: the event was dropped for that listener alone.
func (r *Registry[T]) Deliver(ctx context.Context, e Event[T]) (err error) {
	if ctx.Err() != nil {
		return r.CheckDispatch(ctx, e.Topic())
	}
	if r.wild.Load() != nil {
		return r.deliverMerged(ctx, e)
	}
	l := open(&r.exact, r, e.Type, e.ID)
	if l == nil {
		return r.CheckDispatch(ctx, e.Topic())
	}
	calling := -1 // which listener, if any
	p := pass[T]{shares: l.queued > 1}
	// One deferred call serves all listeners: one that panics is reported and
	// the rest is called from there.
	defer func() {
		if calling >= 0 {
			cause := recover()
			// Deferred again, because an OnFault may end the goroutine too.
			defer func() { err = r.resume(ctx, l, calling+1, e, p) }()
			r.caught(l.entries()[calling].listener, cause, peerID(e.Source))
		}
	}()
	entries := l.entries()
	for i := range entries {
		n := &entries[i]
		calling = i
		switch {
		case l.stale() && n.listener.removed.Load():
			p.refused = true
		case n.handle != nil:
			n.handle(n.scope, e)
		default:
			n.listener.take(ctx, &e, &p)
		}
	}
	calling = -1
	r.leave(l)
	if l.queued > 0 || p.refused {
		return p.finish(r, e.Type, e.ID)
	}
	return nil
}

// open finds a list and enters it.
func open[T any](in *atomic.Pointer[table[T]], r *Registry[T], eventType, id string) *list[T] {
	for {
		t := in.Load()
		if t == nil {
			return nil
		}
		l, _, _ := t.find(eventType, id)
		if l == nil || l.enter() {
			return l
		}
		r.leave(l)
	}
}

// CheckDispatch returns what Deliver would return for an event that nobody hears:
// nil, or why it cannot be dispatched. For adapters that send an event elsewhere.
// A topic that was found has one that was checked when it was added, so this is
// all that Deliver does not do for an event that is heard.
func (r *Registry[T]) CheckDispatch(ctx context.Context, t Topic) error {
	if ctx.Err() != nil {
		return r.wrap("dispatch", t, context.Cause(ctx))
	}
	if err := t.Check(); err != nil {
		return r.wrap("dispatch", t, err)
	}
	if r.Closed() {
		return r.wrap("dispatch", t, ErrClosed)
	}
	return nil
}

// pass is what a Deliver holds on its way through the listeners.
type pass[T any] struct {
	shares  bool     // there may be more than one queue
	refused bool     // by a listener that ended meanwhile
	shared  *cell[T] // the event, for the queues that share it; nil until the first
	handed  int32    // how many queues hold it
	err     error    // the first
}

// reserve is the references that a pass holds while it does not know yet how
// many there will be.
const reserve = 1 << 30

func (p *pass[T]) cell(r *Registry[T], e *Event[T]) *cell[T] {
	if p.shared == nil {
		p.shared = r.cells.Get().(*cell[T])
		p.shared.refs.Store(reserve)
		p.shared.event = *e
	}
	return p.shared
}

func (p *pass[T]) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// finish gives up what the pass holds and tells how it went.
func (p *pass[T]) finish(r *Registry[T], eventType, id string) error {
	if p.shared != nil {
		r.release(p.shared, reserve-p.handed)
	}
	if p.refused && p.err == nil && r.Closed() {
		return r.wrap("dispatch", Topic{eventType, id}, ErrClosed)
	}
	return p.err
}

// resume goes on behind a listener that did not return.
func (r *Registry[T]) resume(ctx context.Context, l *list[T], from int, e Event[T], p pass[T]) error {
	m := merged[T]{lists: [3]*list[T]{l}, at: [3]int{from}}
	return r.walk(ctx, m, e, p)
}

// merged walks the up to three lists that an event reaches once wildcards are in
// play, in the order in which their listeners were added.
type merged[T any] struct {
	lists   [3]*list[T] // nil, and left, when walked to the end
	at      [3]int
	current *listener[T] // the one that is being called
}

func (r *Registry[T]) deliverMerged(ctx context.Context, e Event[T]) error {
	if err := e.Topic().Check(); err != nil {
		return r.wrap("dispatch", e.Topic(), err)
	}
	m := merged[T]{lists: [3]*list[T]{
		open(&r.exact, r, e.Type, e.ID),
		open(&r.wild, r, e.Type, Wildcard),
		open(&r.wild, r, Wildcard, Wildcard),
	}}
	if m.lists == [3]*list[T]{} {
		return r.CheckDispatch(ctx, e.Topic())
	}
	return r.walk(ctx, m, e, pass[T]{shares: true})
}

// walk calls what is left of m and leaves its lists.
func (r *Registry[T]) walk(ctx context.Context, m merged[T], e Event[T], p pass[T]) (err error) {
	defer func() {
		if l := m.current; l != nil {
			m.current = nil
			cause := recover()
			defer func() { err = r.walk(ctx, m, e, p) }()
			r.caught(l, cause, peerID(e.Source))
			return
		}
		err = p.finish(r, e.Type, e.ID)
	}()
	for n := m.next(r); n != nil; n = m.next(r) {
		m.current = n.listener
		switch {
		case n.listener.removed.Load():
			p.refused = true
		case n.handle != nil:
			n.handle(n.scope, e)
		default:
			n.listener.take(ctx, &e, &p)
		}
		m.current = nil
	}
	return nil
}

// next returns the entry that was added first among those not yet called.
func (m *merged[T]) next(r *Registry[T]) *entry[T] {
	var first *entry[T]
	which := 0
	for i, l := range m.lists {
		if l == nil {
			continue
		}
		entries := l.entries()
		if m.at[i] == len(entries) {
			m.lists[i] = nil
			r.leave(l)
			continue
		}
		if n := &entries[m.at[i]]; first == nil || n.listener.seq < first.listener.seq {
			first, which = n, i
		}
	}
	m.at[which]++
	return first
}

func peerID(p Peer) string {
	if p == nil {
		return ""
	}
	return p.ID()
}
