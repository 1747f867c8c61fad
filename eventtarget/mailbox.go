package eventtarget

import (
	"context"
	"slices"
	"sync/atomic"
)

// mailbox is the queue of one listener. Dispatchers append to waiting; a worker takes
// the first span of that in its hand and handles it event by event, without a lock.
// What is still in the hand counts as waiting too, and a dispatcher that must drop the
// oldest takes it from there: both claim an event by advancing claimed. All the rest
// is under the feed's lock.
//
// The fields stand in cache lines of their own: those that a dispatcher writes with each event,
// those that it and the worker read with each, and those that the worker writes.
type mailbox[T any] struct {
	feed    *feed[T]
	count   int       // of events in waiting
	waiting []span[T] // from first on
	first   int
	charged int // bytes, for all but the last of waiting
	bound   int // how many may wait now: limit, or one while most is charged

	hand     span[T]       // the worker's
	own      log[T]        // while overflow: others do not keep the events dropped between
	room     chan struct{} // closed when there may be room; nil while nobody waits
	policy   Overflow
	active   bool // a worker has it, or will
	served   bool // Once, and it has its event
	draining bool // to be closed when empty
	closed   bool
	overflow bool // events were dropped since it was last empty

	limit   int
	most    int       // bytes
	taken   int       // events that were in waiting and are not any more
	awaited []awaited // see DeliverThen

	_       [64]byte
	claimed atomic.Int64
	blocked atomic.Bool // room is not nil
	watched atomic.Bool // awaited is not empty
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
	if m.count+m.hand.to-m.hand.from >= m.bound && m.full() {
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
	return result
}

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
	m.count++
	if n := len(m.waiting); n > m.first {
		last := &m.waiting[n-1]
		if last.chunk == s.chunk && last.to == s.from {
			last.to++
			return
		}
		if last.chunk != s.chunk {
			last.charged = last.bytes
			m.charge(last.charged)
		}
	}
	if m.first > len(m.waiting)/2 {
		m.waiting, m.first = slices.Delete(m.waiting, 0, m.first), 0
	}
	s.holders++
	m.waiting = append(m.waiting, s)
}

// take removes the first span of what waits. Under the lock.
func (m *mailbox[T]) take() span[T] {
	s := m.waiting[m.first]
	m.waiting[m.first] = span[T]{}
	m.first++
	m.count -= s.to - s.from
	m.charge(-s.charged)
	m.taken += s.to - s.from
	if m.first == len(m.waiting) {
		m.waiting, m.first = m.waiting[:0], 0
	}
	return s
}

// pending returns how many events wait. Under the lock.
func (m *mailbox[T]) pending() int { return m.count + m.hand.to - int(m.claimed.Load()) }

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
	oldest := &m.waiting[m.first]
	oldest.from++
	m.count--
	m.taken++
	m.dropped(r, m.taken)
	if oldest.from == oldest.to {
		m.take().release(r)
	}
	return true
}

// claim takes the next event out of the hand, and tells where it is there: the worker to
// handle it, a dispatcher to drop it. It returns nil when the hand is empty.
func (m *mailbox[T]) claim() (e *Event[T], at int) {
	for {
		i := m.claimed.Load()
		if int(i) == m.hand.to {
			return nil, 0
		}
		if m.claimed.CompareAndSwap(i, i+1) {
			return &m.hand.events[i], int(i)
		}
	}
}

// refill gives the worker another hand. It returns false when nothing waits: the
// mailbox is idle then, and ended tells whether it will stay so.
func (m *mailbox[T]) refill(r *Registry[T]) (more, ended bool) {
	const keep = 64 // bounds what an idle queue holds on to, in spans
	m.feed.mu.Lock()
	defer m.feed.mu.Unlock()
	if int(m.claimed.Load()) < m.hand.to { // a listener ended the goroutine of the last visit
		return true, false
	}
	if m.hand.chunk != nil {
		m.hand.release(r)
		m.hand = span[T]{}
	}
	if m.count > 0 {
		m.hand = m.take()
	}
	m.claimed.Store(int64(m.hand.from))
	if m.hand.chunk != nil {
		return true, false
	}
	m.active, m.overflow = false, false
	m.closed = m.closed || m.draining
	m.own.close(r)
	if m.feed.active--; m.feed.active == 0 {
		m.feed.log.close(r)
	}
	if cap(m.waiting) > keep {
		m.waiting = nil
	}
	return false, m.closed
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
	discarded += uint64(m.count)
	for m.count > 0 {
		m.take().release(r)
	}
	m.signal()
	return !m.active, discarded
}

// signal wakes the dispatchers that wait for room. Under the lock.
func (m *mailbox[T]) signal() {
	if m.room != nil {
		close(m.room)
		m.room = nil
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
	if m.room == nil {
		m.room = make(chan struct{})
		m.blocked.Store(true)
	}
	room := m.room
	free := !m.full()
	m.feed.mu.Unlock()
	if free { // claimed between offer and here, when nobody was told to signal
		return nil
	}
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// madeRoom tells waiting dispatchers that an event was claimed.
func (m *mailbox[T]) madeRoom() {
	if m.blocked.Load() {
		m.feed.mu.Lock()
		m.signal()
		m.feed.mu.Unlock()
	}
}
