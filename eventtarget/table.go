package eventtarget

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// table maps topics to their listeners: a hash table that is read without a lock and
// written under the registry's, one topic at a time, so that Add and Remove never copy
// what they do not change. With many topics a look-up costs one cache miss for the
// bucket and one for the list. A reader that still looks at a table that was replaced
// meanwhile finds lists as they were; one that was replaced too is marked stale, and
// that is all that a reader needs to know.
type table[T any] struct {
	seed    maphash.Seed
	buckets []bucket[T]
	count   int // of topics; the writer's
}

// bucket holds the lists whose hashes choose it, and fills a cache line.
type bucket[T any] struct {
	tags  atomic.Uint64 // a byte of the hash of each of lists; 0 where there is none
	lists [slots]atomic.Pointer[list[T]]
	more  atomic.Pointer[bucket[T]] // when slots are not enough
}

const (
	slots    = 6
	usual    = 4                  // topics in a bucket, at most, on average
	eachSlot = 0x0101_0101_0101   // 1 in the byte of each slot
	topBits  = eachSlot << 7      // the highest bit in the byte of each slot
	mix      = 0x9e3779b97f4a7c15 // 2^64 / golden ratio: ("a","b") is not ("b","a")
)

// newTable returns an empty table. With one bucket, as it begins, there is nothing to
// hash.
func newTable[T any](buckets int) *table[T] {
	return &table[T]{seed: maphash.MakeSeed(), buckets: make([]bucket[T], buckets)}
}

// locate returns the bucket where a topic's search begins, and its tag.
func (t *table[T]) locate(eventType, id string) (b *bucket[T], tag uint64) {
	if len(t.buckets) == 1 {
		return &t.buckets[0], 1
	}
	h := maphash.String(t.seed, eventType)*mix ^ maphash.String(t.seed, id)
	return &t.buckets[h&uint64(len(t.buckets)-1)], max(h>>56, 1)
}

// find returns the listeners on a topic, and where they are, or nil.
func (t *table[T]) find(eventType, id string) (l *list[T], b *bucket[T], slot int) {
	b, tag := &t.buckets[0], uint64(1)
	if len(t.buckets) > 1 { // here too: a call costs as much as all the rest
		b, tag = t.locate(eventType, id)
	}
	for ; b != nil; b = b.more.Load() {
		// The lowest byte that is the tag is found for sure; one above it may be
		// found that is not, which the comparison tells.
		differ := b.tags.Load() ^ tag*eachSlot
		for found := (differ - eachSlot) &^ differ & topBits; found != 0; found &= found - 1 {
			slot = bits.TrailingZeros64(found) / 8
			l = b.lists[slot].Load()
			if l != nil && l.topic.ID == id && l.topic.Type == eventType {
				return l, b, slot
			}
		}
	}
	return nil, nil, 0
}

// set puts l in the place of the list that its topic had, if any. Writer only.
func (t *table[T]) set(l *list[T]) {
	if _, b, slot := t.find(l.topic.Type, l.topic.ID); b != nil {
		b.lists[slot].Store(l)
		return
	}
	t.count++
	for b, tag := t.locate(l.topic.Type, l.topic.ID); ; b = b.more.Load() {
		for slot := range slots {
			if b.lists[slot].Load() == nil {
				b.lists[slot].Store(l)
				b.tags.Store(b.tags.Load() | tag<<(8*slot))
				return
			}
		}
		if b.more.Load() == nil {
			b.more.Store(new(bucket[T]))
		}
	}
}

// remove takes a topic out. Writer only.
func (t *table[T]) remove(topic Topic) {
	if _, b, slot := t.find(topic.Type, topic.ID); b != nil {
		b.tags.Store(b.tags.Load() &^ (0xff << (8 * slot)))
		b.lists[slot].Store(nil)
		t.count--
	}
}

// fitted returns t, or one of the right size with the same lists. Writer only.
func (t *table[T]) fitted() *table[T] {
	size := len(t.buckets)
	switch {
	case t.count > usual*size:
		size *= 2
	case t.count < size/2:
		size /= 2
	default:
		return t
	}
	other := newTable[T](size)
	for i := range t.buckets {
		for b := &t.buckets[i]; b != nil; b = b.more.Load() {
			for slot := range slots {
				if l := b.lists[slot].Load(); l != nil {
					other.set(l)
				}
			}
		}
	}
	return other
}
