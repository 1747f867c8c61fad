package eventtarget

import (
	"context"
	"sync/atomic"
)

// Deliver brings e to the listeners on its topic: queued ones find it in their
// queue, then Inline ones are called, in the order in which they were added. It
// returns [ErrInvalidTopic], [ErrClosed], or ctx's cause if ctx had ended, with
// nothing delivered. If a listener that asked for [Block] had no room until ctx ended,
// or had none and Deliver was called inside a listener ([ErrWouldBlock]), that
// is returned too: the event was dropped for that listener alone.
func (r *Registry[T]) Deliver(ctx context.Context, e Event[T]) (err error) {
	if ctx.Err() != nil {
		return r.CheckDispatch(ctx, e.Topic())
	}
	if r.wild.Load() != nil {
		return r.deliverMerged(ctx, e)
	}
	l, _, _ := r.exact.Load().find(e.Type, e.ID)
	if l != nil && !l.enter() { // as open does, but for the call
		r.leave(l)
		l = open(&r.exact, r, e.Type, e.ID)
	}
	if l == nil {
		return r.CheckDispatch(ctx, e.Topic())
	}
	if l.queued {
		var p pass
		r.enqueue(ctx, l, &e, &p)
		if l.inline && r.walk(merged[T]{lists: [3]*list[T]{l}}, e) {
			p.refused = true
		}
		return r.outcome(&p, &e)
	}
	c := calls[T]{registry: r, list: l, at: -1}
	// One deferred call serves all listeners: one that panics is reported and
	// the rest is called from there.
	defer func() {
		if c.at >= 0 {
			err = c.resume(recover(), e)
		}
	}()
	entries := l.entries()
	for i := range entries {
		n := &entries[i]
		if l.stale() && n.listener.removed.Load() {
			c.refused = true
			continue
		}
		c.at = i
		n.handle(n.scope, e)
	}
	c.at = -1
	r.leave(l)
	if c.refused {
		return r.checkRefused(e.Topic())
	}
	return nil
}

// calls is how far a Deliver to Inline listeners has come.
type calls[T any] struct {
	registry *Registry[T]
	list     *list[T]
	at       int  // the one that is being called; -1 is none
	refused  bool // one had ended meanwhile
}

// resume goes on behind a listener that did not return.
func (c *calls[T]) resume(cause any, e Event[T]) (err error) {
	r := c.registry
	// Deferred, because an OnFault may end the goroutine too.
	defer func() {
		if r.walk(merged[T]{lists: [3]*list[T]{c.list}, at: [3]int{c.at + 1}}, e) || c.refused {
			err = r.checkRefused(e.Topic())
		}
	}()
	r.caught(c.list.entries()[c.at].listener, cause, peerID(e.Source))
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
	return r.checkRefused(t)
}

// checkRefused tells why a listener that had ended meanwhile did.
func (r *Registry[T]) checkRefused(t Topic) error {
	if r.Closed() {
		return r.wrap("dispatch", t, ErrClosed)
	}
	return nil
}

// merged walks the up to three lists that an event reaches once wildcards are in
// play, in the order in which their listeners were added.
type merged[T any] struct {
	lists   [3]*list[T] // nil, and left, when walked to the end
	at      [3]int
	current *listener[T] // the one that is being called
}

// deliverMerged is Deliver while there are selectors with wildcards.
func (r *Registry[T]) deliverMerged(ctx context.Context, e Event[T]) error {
	if err := e.Topic().Check(); err != nil {
		return r.wrap("dispatch", e.Topic(), err)
	}
	return r.deliverAll(ctx, &e, nil)
}

// deliverAll delivers an event that was checked.
func (r *Registry[T]) deliverAll(ctx context.Context, e *Event[T], then *then) error {
	lists := [3]*list[T]{
		open(&r.exact, r, e.Type, e.ID),
		open(&r.wild, r, e.Type, Wildcard),
		open(&r.wild, r, Wildcard, Wildcard),
	}
	if lists == [3]*list[T]{} {
		return r.checkRefused(e.Topic())
	}
	// One of them may have been found, and the others gone already with the table.
	p := pass{then: then, refused: r.Closed()}
	for _, l := range lists {
		if l != nil && l.queued {
			r.enqueue(ctx, l, e, &p)
		}
	}
	if r.walk(merged[T]{lists: lists}, *e) {
		p.refused = true
	}
	return r.outcome(&p, e)
}

// walk calls the Inline listeners of what is left of m and leaves its lists.
func (r *Registry[T]) walk(m merged[T], e Event[T]) (refused bool) {
	defer func() {
		if l := m.current; l != nil {
			m.current = nil
			cause := recover()
			defer func() { refused = r.walk(m, e) || refused }()
			r.caught(l, cause, peerID(e.Source))
		}
	}()
	for n := m.next(r); n != nil; n = m.next(r) {
		if n.listener.removed.Load() {
			refused = true
			continue
		}
		m.current = n.listener
		n.handle(n.scope, e)
		m.current = nil
	}
	return refused
}

// next returns the entry that was added first among the Inline ones not yet called.
func (m *merged[T]) next(r *Registry[T]) *entry[T] {
	var first *entry[T]
	which := 0
	for i, l := range m.lists {
		if l == nil {
			continue
		}
		entries := l.entries()
		for m.at[i] < len(entries) && entries[m.at[i]].handle == nil { // queued
			m.at[i]++
		}
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
