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
// With many topics a delivery costs little but cache misses. So the fields that one to a
// single listener needs come first and fill one cache line; the whole fills two, which
// is a size that the allocator aligns.
type list[T any] struct {
	topic  Topic
	next   atomic.Pointer[list[T]] // in the table's chain
	inside atomic.Int32            // how many Delivers; and, once it was replaced, staleMark
	tag    uint16                  // of the topic's hash
	inline bool                    // any Inline listener in it
	queued uint8                   // how many listeners are queued: 0, 1 or more
	single [1]entry[T]             // the entry, if there is only one

	several []entry[T] // the entries otherwise

	// The listeners that were removed, to be finished when nobody is inside. Under
	// the registry's lock.
	waiters []*listener[T]
	_       [2]uint64
}

// entries returns the listeners; there is always one.
func (l *list[T]) entries() []entry[T] {
	if l.single[0].scope != nil {
		return l.single[:]
	}
	return l.several
}

// staleMark is added to inside when the list is replaced. Entries may have been removed
// from then on.
const staleMark = 1 << 30

func (l *list[T]) stale() bool { return l.inside.Load() >= staleMark }

func (l *list[T]) sel() *selector[T] { return l.entries()[0].listener.sel }

// entry holds what a call needs in one place, so that delivering to a plain
// Inline listener touches nothing else.
type entry[T any] struct {
	handle func(context.Context, Event[T]) // nil: see listener.take
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
	r.mu.Lock()
	var free []*listener[T]
	if l.inside.Load() == staleMark {
		for _, w := range l.waiters {
			if w.holds--; w.holds == 0 {
				free = append(free, w)
			}
		}
		l.waiters = nil
		l.sel().prune()
	}
	r.mu.Unlock()
	for _, w := range free {
		r.finish(w)
	}
}

// selector is a topic that has listeners. All of it is under the registry's lock.
type selector[T any] struct {
	topic   Topic
	current *list[T]   // nil once the last listener is gone
	old     []*list[T] // replaced, and somebody may still be inside
}

// prune forgets the replaced lists that nobody is inside. A Deliver that enters
// one from now on finds it stale and turns back.
func (s *selector[T]) prune() {
	s.old = slices.DeleteFunc(s.old, func(l *list[T]) bool { return l.inside.Load() == staleMark })
}

// link puts n into its selector's list. Under r.mu.
func (r *Registry[T]) link(n *listener[T]) {
	e := entry[T]{scope: &n.scope}
	if n.inline && !n.once {
		e.handle = n.handle
	}
	in := r.tableOf(n.topic)
	if in.Load() == nil {
		in.Store(newTable[T](1))
	}
	if l := in.Load().find(n.topic.Type, n.topic.ID); l != nil {
		n.sel = l.sel()
		r.replace(n.sel, append(slices.Clip(l.entries()), e))
		return
	}
	n.sel = &selector[T]{topic: n.topic}
	r.replace(n.sel, []entry[T]{e})
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
			r.replace(l.sel, slices.Concat(entries[:i], entries[i+1:]))
		}
	}
	if l.inline {
		for _, old := range l.sel.old {
			old.waiters = append(old.waiters, l)
			l.holds++
		}
	}
	return l.holds == 0
}

// replace gives a selector other entries. Under r.mu.
func (r *Registry[T]) replace(s *selector[T], entries []entry[T]) {
	in := r.tableOf(s.topic)
	before := s.current
	s.current = nil
	if len(entries) > 0 {
		s.current = newList(s, entries)
	}
	switch {
	case r.closing: // the tables are gone
	case s.current != nil:
		in.Load().set(s.current)
	default:
		in.Load().remove(s.topic)
	}
	s.retire(before)
	if !r.closing {
		resize(in)
	}
	if r.wild.Load() != nil && r.wild.Load().count == 0 {
		r.wild.Store(nil) // so that looking for wildcards costs nothing again
	}
}

func newList[T any](s *selector[T], entries []entry[T]) *list[T] {
	l := &list[T]{topic: s.topic, several: entries}
	if len(entries) == 1 {
		l.single[0], l.several = entries[0], nil
	}
	for i := range entries {
		if entries[i].listener.inline {
			l.inline = true
		} else {
			l.queued = min(l.queued+1, 2)
		}
	}
	return l
}

// retire marks a list that was replaced.
func (s *selector[T]) retire(before *list[T]) {
	if before != nil {
		before.inside.Add(staleMark)
		s.old = append(s.old, before)
	}
	s.prune()
}

// resize puts a table of the right size in the place of one that was outgrown. A
// list hangs in one chain only, so each gets a successor. Under r.mu.
func resize[T any](in *atomic.Pointer[table[T]]) {
	old := in.Load()
	size := old.fit()
	if size == len(old.buckets) {
		return
	}
	t := newTable[T](size)
	t.seed = old.seed
	var retired []*list[T]
	for i := range old.buckets {
		for l := old.buckets[i].Load(); l != nil; l = l.next.Load() {
			s := l.sel()
			s.current = newList(s, l.entries())
			t.set(s.current)
			retired = append(retired, l)
		}
	}
	in.Store(t)
	for _, l := range retired {
		l.sel().retire(l)
	}
}

func (r *Registry[T]) tableOf(t Topic) *atomic.Pointer[table[T]] {
	if t.isWildcard() {
		return &r.wild
	}
	return &r.exact
}
