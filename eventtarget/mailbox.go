package eventtarget

import (
	"context"
	"slices"
	"sync/atomic"
)

// mailbox is the queue of one listener. Dispatchers append to waiting; a worker takes
// the first span of that in its hand and handles it event by event, without a lock.
// What is still in the hand counts as waiting too, and a dispatcher that must drop the
// oldest takes it from there: both claim events by advancing claimed, the worker several
// at once where the bound need not be exact. All the rest is under the feed's lock.
//
// The fields stand in cache lines of their own: those that a dispatcher writes with each event,
// those that it and the worker read with each, and those that the worker writes.
type mailbox[T any] struct {
	room  int     // how many events may extend tail before anything else is looked at; 0 without one
	tail  span[T] // the last of what waits; nothing waits when it is empty
	count int     // of events in waiting
	feed  *feed[T]

	waiting []span[T] // before tail, from first on
	first   int
	charged int // bytes, for waiting
	bound   int // how many may wait now: limit, or one while most is charged

	hand     span[T]       // the worker's
	own      log[T]        // while overflow: others do not keep the events dropped between
	space    chan struct{} // closed when there may be room; nil while nobody waits for that
	policy   Overflow
	active   bool // a worker has it, or will
	served   bool // Once, and it has its event
	draining bool // to be closed when empty
	closed   bool
	overflow bool // events were dropped since it was last empty

	limit   int
	most    int       // bytes
	batch   int       // how many events the worker claims at once
	taken   int       // events that were waiting and are not any more
	handed  int       // the same, up to the end of the hand
	awaited []awaited // see DeliverThen

	_        [64]byte
	claimed  atomic.Int64
	at, upto int         // the worker's: the next event in the hand, and the end of what it has claimed
	blocked  atomic.Bool // space is not nil
	watched  atomic.Bool // awaited is not empty
}

// offered is what became of an event that was put into a mailbox.
type offered uint8

const (
	accepted     offered = iota
	refused              // the listener is gone, or Once was served
	dropped              // this event or the oldest, as others since it was last empty
	droppedFirst         // the same, the first since it was last empty
	noRoom               // the policy is Block
)

// offer puts an event into the queue; stored is where it is in the feed's log, if it
// is yet, and then who waits for it. Under the lock.
func (m *mailbox[T]) offer(l *listener[T], e *Event[T], stored *span[T], then *then) offered {
	if m.closed || m.served {
		return refused
	}
	result := accepted
	if m.waits()+m.hand.to-m.hand.from >= m.bound && m.full() {
		switch m.policy {
		case Block:
			return noRoom
		case DropOldest:
			for m.dropOldest(l.registry) {
				if what := m.countDrop(l); result == accepted {
					result = what
				}
			}
		default:
			return m.countDrop(l)
		}
	}
	switch {
	case m.overflow:
		m.put(m.own.append(l.registry, e))
	case stored.chunk == nil:
		*stored = m.feed.log.append(l.registry, e)
		fallthrough
	default:
		m.put(*stored)
	}
	if then != nil {
		m.await(then)
	}
	m.served = l.once
	if !m.active {
		m.active = true
		m.feed.active++
		l.registry.workers.push(l)
	}
	if !m.served && !m.overflow {
		m.room = m.bound - m.pending()
	}
	return result
}

// extend puts an event into the queue if that takes no more than to make the tail one longer.
// Under the lock.
func (m *mailbox[T]) extend(s *span[T]) bool {
	if m.tail.chunk != s.chunk || m.tail.to != s.from {
		return false
	}
	m.tail.to++
	return true
}

// waits returns how many events wait that are not in the hand. Under the lock.
func (m *mailbox[T]) waits() int { return m.count + m.tail.to - m.tail.from }

// pending returns how many events wait. Under the lock.
func (m *mailbox[T]) pending() int { return m.waits() + m.hand.to - int(m.claimed.Load()) }

// full tells whether there is no room. Under the lock.
func (m *mailbox[T]) full() bool { return m.pending() >= m.bound }

// charge notes what waits. Under the lock.
func (m *mailbox[T]) charge(bytes int) {
	m.charged += bytes
	m.bound = m.limit
	if m.charged >= m.most {
		m.bound = 1
	}
}

// put appends an event to what waits. What is in one chunk is charged for together when an event
// of the next one comes, for all of the chunk, which nobody can use before: so an event more costs
// nothing, and there may be a chunk more than there is room for. Under the lock.
func (m *mailbox[T]) put(s span[T]) {
	switch {
	case m.tail.chunk == nil:
	case m.extend(&s):
		return
	default:
		if m.tail.chunk != s.chunk {
			m.tail.charged = m.tail.bytes
			m.charge(m.tail.charged)
		}
		if m.first > len(m.waiting)/2 {
			m.waiting, m.first = slices.Delete(m.waiting, 0, m.first), 0
		}
		m.waiting = append(m.waiting, m.tail)
		m.count += m.tail.to - m.tail.from
	}
	s.holders++
	m.tail = s
}

// oldest returns the first span of what waits. Under the lock.
func (m *mailbox[T]) oldest() *span[T] {
	if m.first < len(m.waiting) {
		return &m.waiting[m.first]
	}
	return &m.tail
}

// take removes the first span of what waits. Under the lock.
func (m *mailbox[T]) take() span[T] {
	oldest := m.oldest()
	s := *oldest
	*oldest, m.room = span[T]{}, 0
	if oldest != &m.tail {
		m.count -= s.to - s.from
		if m.first++; m.first == len(m.waiting) {
			m.waiting, m.first = m.waiting[:0], 0
		}
	}
	m.charge(-s.charged)
	m.taken += s.to - s.from
	return s
}

func (m *mailbox[T]) countDrop(l *listener[T]) offered {
	l.dropped.Add(1)
	if m.overflow {
		return dropped
	}
	m.overflow = true
	return droppedFirst
}

// dropOldest drops an event if there is no room for another. Under the lock.
func (m *mailbox[T]) dropOldest(r *Registry[T]) bool {
	if !m.full() {
		return false
	}
	if e, at := m.claim(); e != nil {
		m.dropped(r, m.taken-(m.hand.to-1-at))
		return true
	}
	if !m.full() { // the worker has made room
		return false
	}
	oldest := m.oldest()
	oldest.from++
	if oldest != &m.tail {
		m.count--
	}
	m.taken++
	m.dropped(r, m.taken)
	if oldest.from == oldest.to {
		m.take().release(r)
	}
	return true
}

// drain makes the mailbox close once it is empty, and tells whether it is. From
// then on it refuses what a Deliver that is still on its way brings: an event is
// either handled, or its dispatcher hears that the target is closed.
func (m *mailbox[T]) drain() (idle bool) {
	m.feed.mu.Lock()
	defer m.feed.mu.Unlock()
	m.draining = true
	m.closed = m.closed || !m.active
	return !m.active
}

// close refuses everything from now on and discards what waits. It tells whether
// no worker has the mailbox, and how much was discarded.
func (m *mailbox[T]) close(r *Registry[T]) (idle bool, discarded uint64) {
	m.feed.mu.Lock()
	defer m.feed.mu.Unlock()
	m.closed = true
	for e, _ := m.claim(); e != nil; e, _ = m.claim() {
		discarded++
	}
	discarded += uint64(m.waits())
	for m.waits() > 0 {
		m.take().release(r)
	}
	m.signal()
	return !m.active, discarded
}

// signal wakes the dispatchers that wait for room. Under the lock.
func (m *mailbox[T]) signal() {
	if m.space != nil {
		close(m.space)
		m.space = nil
		m.blocked.Store(false)
	}
}

// awaitRoom waits until there may be room, ctx ends or the listener does.
func (m *mailbox[T]) awaitRoom(ctx context.Context) error {
	m.feed.mu.Lock()
	if m.closed {
		m.feed.mu.Unlock()
		return nil
	}
	if m.space == nil {
		m.space = make(chan struct{})
		m.blocked.Store(true)
	}
	space := m.space
	free := !m.full()
	m.feed.mu.Unlock()
	if free { // claimed between offer and here, when nobody was told to signal
		return nil
	}
	select {
	case <-space:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// madeRoom tells waiting dispatchers that events were claimed.
func (m *mailbox[T]) madeRoom() {
	if m.blocked.Load() {
		m.feed.mu.Lock()
		m.signal()
		m.feed.mu.Unlock()
	}
}
