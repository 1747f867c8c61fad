package eventtarget

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// cell holds one event for all the queues that it waits in, so that a queue
// moves a pointer and not the event. The last holder puts it back.
type cell[T any] struct {
	event Event[T]
	refs  atomic.Int32 // own: it belongs to one mailbox
	done  func()       // nil, or what is called when the last holder has put it back
}

// own marks a cell that a mailbox made for itself, which costs neither the pool nor
// the counting: most events wait in one queue only.
const own = -1

// release gives up n references to c.
func (r *Registry[T]) release(c *cell[T], n int32) {
	if c.refs.Load() == own {
		c.event = Event[T]{} // its mailbox will use it again
		return
	}
	if c.refs.Add(-n) == 0 {
		done := c.done
		c.event, c.done = Event[T]{}, nil
		r.cells.Put(c)
		if done != nil && !r.discards.Load() {
			done()
		}
	}
}

// mailbox is the queue of one listener. Dispatchers append to waiting; a worker
// takes all of that in one hand and handles it event by event. What is still in
// the hand counts as waiting too, and a dispatcher that must drop the oldest
// takes it from there: both claim an event by advancing claimed.
type mailbox[T any] struct {
	mu       sync.Mutex
	waiting  []*cell[T]
	limit    int
	policy   Overflow
	active   bool // a worker has it, or will
	served   bool // Once, and it has its event
	draining bool // to be closed when empty
	closed   bool
	overflow bool          // events were dropped since it was last empty
	room     chan struct{} // closed when there may be room; nil while nobody waits

	free    []*cell[T] // own cells that nobody uses
	hand    []*cell[T] // the worker's; changes only under mu
	claimed atomic.Int64
	blocked atomic.Int32 // dispatchers that wait for room
}

// offered is what became of an event that was put into a mailbox.
type offered uint8

const (
	accepted     offered = iota
	acceptedIdle         // accepted, and a worker must be told
	refused              // the listener is gone, or Once was served
	dropped              // this event or the oldest, as others since it was last empty
	droppedFirst         // the same, the first since it was last empty
	full                 // the policy is Block
)

// offer puts an event into the queue: c, to which it holds a reference from then on,
// or with a nil c a cell of its own.
func (m *mailbox[T]) offer(l *listener[T], c *cell[T], e *Event[T]) offered {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.served {
		return refused
	}
	result := accepted
	if len(m.waiting)+len(m.hand) >= m.limit && m.pending() >= m.limit {
		switch m.policy {
		case Block:
			return full
		case DropOldest:
			if m.dropOldest(l.registry) {
				result = m.countDrop(l)
			}
		default:
			return m.countDrop(l)
		}
	}
	if c == nil {
		c = m.ownCell()
		c.event = *e
	}
	m.waiting = append(m.waiting, c)
	m.served = l.once
	if !m.active {
		m.active = true
		result = acceptedIdle
	}
	return result
}

// ownCell returns a free cell of the mailbox's. Under mu.
func (m *mailbox[T]) ownCell() *cell[T] {
	if len(m.free) == 0 {
		more := make([]cell[T], max(1, min(len(m.waiting), 64))) // side by side
		for i := range more {
			more[i].refs.Store(own)
			m.free = append(m.free, &more[i])
		}
	}
	last := len(m.free) - 1
	c := m.free[last]
	m.free = m.free[:last]
	return c
}

// pending returns how many events wait. Under mu.
func (m *mailbox[T]) pending() int {
	return len(m.waiting) + len(m.hand) - int(m.claimed.Load())
}

func (m *mailbox[T]) countDrop(l *listener[T]) offered {
	l.dropped.Add(1)
	if m.overflow {
		return dropped
	}
	m.overflow = true
	return droppedFirst
}

// dropOldest makes room for one event, unless the worker just did. Under mu.
func (m *mailbox[T]) dropOldest(r *Registry[T]) bool {
	if c := m.claim(); c != nil {
		r.release(c, 1)
		return true
	}
	if len(m.waiting) < m.limit {
		return false
	}
	r.release(m.waiting[0], 1)
	m.waiting[0] = nil
	m.waiting = m.waiting[1:]
	return true
}

// claim takes the next event out of the hand: the worker to handle it, a
// dispatcher to drop it. It returns nil when the hand is empty.
func (m *mailbox[T]) claim() *cell[T] {
	for {
		i := m.claimed.Load()
		if int(i) == len(m.hand) {
			return nil
		}
		if m.claimed.CompareAndSwap(i, i+1) {
			return m.hand[i]
		}
	}
}

// refill gives the worker another hand. It returns false when nothing waits: the
// mailbox is idle then, and ended tells whether it will stay so.
func (m *mailbox[T]) refill() (more, ended bool) {
	const keep = 1024 // bounds what an idle queue holds on to, in cells
	m.mu.Lock()
	defer m.mu.Unlock()
	if int(m.claimed.Load()) < len(m.hand) { // a listener ended the goroutine of the last visit
		return true, false
	}
	m.recycle()
	m.hand, m.waiting = m.waiting, m.hand[:0]
	m.claimed.Store(0)
	if len(m.hand) > 0 && !m.closed {
		return true, false
	}
	m.active, m.overflow = false, false
	m.closed = m.closed || m.draining
	if cap(m.hand) > 4*keep {
		m.hand = nil
	}
	if cap(m.waiting) > 4*keep {
		m.waiting = nil
	}
	if len(m.free) > keep {
		m.free = append([]*cell[T](nil), m.free[:keep]...)
	}
	return false, m.closed
}

// recycle takes the own cells of a hand that was handled back. Under mu.
func (m *mailbox[T]) recycle() {
	for _, c := range slices.Backward(m.hand) { // so that they are used in order
		if c.refs.Load() == own {
			m.free = append(m.free, c)
		}
	}
	clear(m.hand)
}

// drain makes the mailbox close once it is empty, and tells whether it is. From
// then on it refuses what a Deliver that is still on its way brings: an event is
// either handled, or its dispatcher hears that the target is closed.
func (m *mailbox[T]) drain() (idle bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draining = true
	m.closed = m.closed || !m.active
	return !m.active
}

// close refuses everything from now on and discards what waits. It tells whether
// no worker has the mailbox, and how much was discarded.
func (m *mailbox[T]) close(r *Registry[T]) (idle bool, discarded uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for c := m.claim(); c != nil; c = m.claim() {
		r.release(c, 1)
		discarded++
	}
	for _, c := range m.waiting {
		r.release(c, 1)
		discarded++
	}
	m.waiting = nil
	m.signal()
	return !m.active, discarded
}

// signal wakes the dispatchers that wait for room. Under mu.
func (m *mailbox[T]) signal() {
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
}

// awaitRoom waits until there may be room, ctx ends or the listener does.
func (m *mailbox[T]) awaitRoom(ctx context.Context) error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	if m.room == nil {
		m.room = make(chan struct{})
	}
	room := m.room
	m.blocked.Add(1)
	free := m.pending() < m.limit
	m.mu.Unlock()
	defer m.blocked.Add(-1)
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
	if m.blocked.Load() > 0 {
		m.mu.Lock()
		m.signal()
		m.mu.Unlock()
	}
}
