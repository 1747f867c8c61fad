package eventtarget

import (
	"context"
	"slices"
	"sync/atomic"
)

// list is the listeners of one selector in the order in which they were added.
// It never changes: Add and Remove put another in its place.
//
// Removing an Inline listener must not close its Done while a Deliver that began
// before is still about to call it. So Deliver counts itself in and out of a list
// that has Inline listeners, and a list that was replaced is settled once nobody
// is inside.
//
// With many topics a delivery costs little but cache misses, so a list fills just one
// cache line.
type list[T any] struct {
	topic   Topic
	inside  atomic.Int32 // how many Delivers; and, once it was replaced, staleMark
	inline  bool         // any Inline listener in it
	queued  bool         // any queued listener in it
	single  [1]entry[T]  // the entry, if there is only one
	several *[]entry[T]  // the entries otherwise
}

// entries returns the listeners; there is always one.
func (l *list[T]) entries() []entry[T] {
	if l.several == nil {
		return l.single[:]
	}
	return *l.several
}

// staleMark is added to inside when the list is replaced. Entries may have been removed
// from then on.
const staleMark = 1 << 30

func (l *list[T]) stale() bool { return l.inside.Load() >= staleMark }

func (l *list[T]) sel() *selector[T] { return l.entries()[0].listener.sel }

// entry holds what a call needs in one place, so that delivering to a plain
// Inline listener touches nothing else.
type entry[T any] struct {
	handle func(context.Context, Event[T]) // nil if it is queued
	*scope[T]
}

// enter counts a Deliver in. It fails when the list was replaced meanwhile: look
// it up again.
func (l *list[T]) enter() bool {
	if !l.inline {
		return true
	}
	return l.inside.Add(1) < staleMark
}

// leave undoes enter, failed or not.
func (r *Registry[T]) leave(l *list[T]) {
	if l.inline && l.inside.Add(-1) == staleMark {
		r.drained(l)
	}
}

// drained finishes the listeners that waited for the last Deliver inside l.
func (r *Registry[T]) drained(l *list[T]) {
	var free []*listener[T]
	r.mu.Lock()
	l.sel().forget(func(old replaced[T]) bool {
		for _, w := range old.waiters {
			if w.holds--; w.holds == 0 {
				free = append(free, w)
			}
		}
		return true
	})
	r.mu.Unlock()
	for _, w := range free {
		r.finish(w)
	}
}

// selector is a topic that has listeners. All of it is under the registry's lock.
type selector[T any] struct {
	current *list[T]      // nil once the last listener is gone
	old     []replaced[T] // and somebody may still be inside
	feed    *feed[T]      // nil until there is a queued listener
}

// replaced is a list that was, and the Inline listeners that were removed and are to
// be finished when nobody is inside any more.
type replaced[T any] struct {
	*list[T]
	waiters []*listener[T]
}

// forget drops the replaced lists that nobody is inside, if drop agrees. A Deliver
// that enters one from now on finds it stale and turns back.
func (s *selector[T]) forget(drop func(replaced[T]) bool) {
	s.old = slices.DeleteFunc(s.old, func(l replaced[T]) bool {
		return l.inside.Load() == staleMark && drop(l)
	})
}

// link puts n into its selector's list. Under r.mu.
func (r *Registry[T]) link(n *listener[T]) {
	in := r.tableOf(n.topic)
	if in.Load() == nil {
		in.Store(newTable[T](1))
	}
	var others []entry[T]
	if l, _, _ := in.Load().find(n.topic.Type, n.topic.ID); l != nil {
		n.sel, others = l.sel(), slices.Clip(l.entries())
	} else {
		n.sel = new(selector[T])
	}
	e := entry[T]{scope: &n.scope}
	switch {
	case !n.inline:
		if n.sel.feed == nil {
			n.sel.feed = new(feed[T])
		}
		n.box.feed = n.sel.feed
	case n.once:
		e.handle = n.callOnce
	default:
		e.handle = n.handle
	}
	r.replace(n, append(others, e))
}

// unlink takes l out of its selector's list. For an Inline listener it tells
// whether no Deliver can be about to call it; if one can, the last of them
// finishes l.
func (r *Registry[T]) unlink(l *listener[T]) (settled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cur := l.sel.current; cur != nil {
		entries := cur.entries()
		if i := slices.IndexFunc(entries, func(e entry[T]) bool { return e.listener == l }); i >= 0 {
			r.replace(l, slices.Concat(entries[:i], entries[i+1:]))
		}
	}
	if l.inline {
		for i := range l.sel.old {
			old := &l.sel.old[i]
			old.waiters = append(old.waiters, l)
			l.holds++
		}
	}
	return l.holds == 0
}

// replace gives the selector of l, which was added or removed, other entries. Under
// r.mu.
func (r *Registry[T]) replace(l *listener[T], entries []entry[T]) {
	in, s := r.tableOf(l.topic), l.sel
	before := s.current
	s.current = nil
	if len(entries) > 0 {
		s.current = newList(l.topic, entries)
	}
	if !r.closing.Load() { // the tables are gone then
		if s.current != nil {
			in.Load().set(s.current)
		} else {
			in.Load().remove(l.topic)
		}
		in.Store(in.Load().fitted())
	}
	if before != nil {
		before.inside.Add(staleMark)
		s.old = append(s.old, replaced[T]{list: before})
	}
	s.forget(func(old replaced[T]) bool { return old.waiters == nil }) // else drained will
	if r.wild.Load() != nil && r.wild.Load().count == 0 {
		r.wild.Store(nil) // so that looking for wildcards costs nothing again
	}
}

func newList[T any](topic Topic, entries []entry[T]) *list[T] {
	l := &list[T]{topic: topic}
	if len(entries) == 1 {
		l.single[0] = entries[0]
	} else {
		l.several = &entries
	}
	for i := range entries {
		if entries[i].listener.inline {
			l.inline = true
		} else {
			l.queued = true
		}
	}
	return l
}

func (r *Registry[T]) tableOf(t Topic) *atomic.Pointer[table[T]] {
	if t.isWildcard() {
		return &r.wild
	}
	return &r.exact
}
