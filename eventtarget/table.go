package eventtarget

import (
	"hash/maphash"
	"sync/atomic"
)

// table maps topics to their listeners: a chained hash table that is read
// without a lock and written under the registry's, one topic at a time, so that
// Add and Remove never copy what they do not change. A reader that still holds a
// table that was outgrown sees the lists as they were; a list that was replaced
// since is marked stale, and that is all that a reader needs to know.
type table[T any] struct {
	seed    maphash.Seed
	buckets []atomic.Pointer[node[T]]
	count   int // of nodes; the writer's
}

// node is one topic. The list changes, nothing else does but the chain.
type node[T any] struct {
	hash  uint64
	topic Topic
	list  atomic.Pointer[list[T]]
	next  atomic.Pointer[node[T]]
}

const minBuckets = 8

func newTable[T any](buckets int) *table[T] {
	return &table[T]{seed: maphash.MakeSeed(), buckets: make([]atomic.Pointer[node[T]], buckets)}
}

func (t *table[T]) hash(eventType, id string) uint64 {
	const mix = 0x9e3779b97f4a7c15 // 2^64 / golden ratio: ("a","b") is not ("b","a")
	return maphash.String(t.seed, eventType)*mix ^ maphash.String(t.seed, id)
}

func (t *table[T]) bucket(hash uint64) *atomic.Pointer[node[T]] {
	return &t.buckets[hash&uint64(len(t.buckets)-1)]
}

// find returns the listeners on a topic, or nil.
func (t *table[T]) find(eventType, id string) *list[T] {
	h := t.hash(eventType, id)
	for n := t.bucket(h).Load(); n != nil; n = n.next.Load() {
		if n.hash == h && n.topic.ID == id && n.topic.Type == eventType {
			return n.list.Load()
		}
	}
	return nil
}

// set gives a topic its list; nil takes the topic out. It returns the table to
// use from now on, which is another one when t was outgrown. Writer only.
func (t *table[T]) set(topic Topic, l *list[T]) *table[T] {
	h := t.hash(topic.Type, topic.ID)
	at := t.bucket(h)
	for n := at.Load(); n != nil; n = at.Load() {
		if n.hash == h && n.topic == topic {
			if l != nil {
				n.list.Store(l)
				return t
			}
			at.Store(n.next.Load())
			t.count--
			return t.fit()
		}
		at = &n.next
	}
	if l == nil {
		return t
	}
	n := &node[T]{hash: h, topic: topic}
	n.list.Store(l)
	at = t.bucket(h)
	n.next.Store(at.Load())
	at.Store(n)
	t.count++
	return t.fit()
}

// fit returns a table with the same topics and about one bucket for each.
func (t *table[T]) fit() *table[T] {
	size := len(t.buckets)
	switch {
	case t.count > size:
		size *= 4
	case size > minBuckets && t.count < size/16:
		size /= 4
	default:
		return t
	}
	next := newTable[T](size)
	next.seed = t.seed
	next.count = t.count
	for i := range t.buckets {
		for n := t.buckets[i].Load(); n != nil; n = n.next.Load() {
			moved := &node[T]{hash: n.hash, topic: n.topic}
			moved.list.Store(n.list.Load())
			at := next.bucket(n.hash)
			moved.next.Store(at.Load())
			at.Store(moved)
		}
	}
	return next
}
