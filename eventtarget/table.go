package eventtarget

import (
	"hash/maphash"
	"sync/atomic"
)

// table maps topics to their listeners: a chained hash table that is read without
// a lock and written under the registry's, one topic at a time, so that Add and
// Remove never copy what they do not change. The lists themselves are the nodes of
// the chains, which saves a look-up a cache miss. A reader that still walks a
// chain, or a table, that was replaced meanwhile sees lists as they were; one that
// was replaced is marked stale, and that is all that a reader needs to know.
type table[T any] struct {
	seed    maphash.Seed
	buckets []atomic.Pointer[list[T]]
	count   int // of topics; the writer's
}

// newTable returns an empty table. With one bucket, as it begins, there is nothing to
// hash.
func newTable[T any](buckets int) *table[T] {
	return &table[T]{seed: maphash.MakeSeed(), buckets: make([]atomic.Pointer[list[T]], buckets)}
}

func (t *table[T]) hash(eventType, id string) uint64 {
	if len(t.buckets) == 1 {
		return 0
	}
	const mix = 0x9e3779b97f4a7c15 // 2^64 / golden ratio: ("a","b") is not ("b","a")
	return maphash.String(t.seed, eventType)*mix ^ maphash.String(t.seed, id)
}

func (t *table[T]) bucket(hash uint64) *atomic.Pointer[list[T]] {
	return &t.buckets[hash&uint64(len(t.buckets)-1)]
}

// find returns the listeners on a topic, or nil.
func (t *table[T]) find(eventType, id string) *list[T] {
	h := t.hash(eventType, id)
	for l := t.bucket(h).Load(); l != nil; l = l.next.Load() {
		if l.tag == tag(h) && l.topic.ID == id && l.topic.Type == eventType {
			return l
		}
	}
	return nil
}

// tag is the part of a hash that a list keeps: bits that do not choose the bucket.
func tag(hash uint64) uint16 { return uint16(hash >> 48) }

// set puts l in the place of the list that its topic had, if any. Writer only.
func (t *table[T]) set(l *list[T]) {
	h := t.hash(l.topic.Type, l.topic.ID)
	l.tag = tag(h)
	at := t.place(l.topic, h)
	if old := at.Load(); old != nil {
		l.next.Store(old.next.Load())
	} else {
		t.count++
	}
	at.Store(l)
}

// remove takes a topic out. Writer only.
func (t *table[T]) remove(topic Topic) {
	at := t.place(topic, t.hash(topic.Type, topic.ID))
	if old := at.Load(); old != nil {
		at.Store(old.next.Load())
		t.count--
	}
}

// place returns where a topic's list hangs, or where it would, at the end.
func (t *table[T]) place(topic Topic, hash uint64) *atomic.Pointer[list[T]] {
	at := t.bucket(hash)
	for l := at.Load(); l != nil && (l.tag != tag(hash) || l.topic != topic); l = at.Load() {
		at = &l.next
	}
	return at
}

// fit returns how many buckets the table should have: one while there are few
// topics, and then about one for each.
func (t *table[T]) fit() int {
	const few, smallest = 4, 8
	size := len(t.buckets)
	switch {
	case size == 1 && t.count > few:
		return smallest
	case size > 1 && t.count > size:
		return size * 4
	case size == smallest && t.count < few/2:
		return 1
	case size > smallest && t.count < size/16:
		return size / 4
	}
	return size
}
