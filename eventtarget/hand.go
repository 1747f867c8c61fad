package eventtarget

// next returns the next event of the hand, for the worker to handle; nil when there is none.
func (m *mailbox[T]) next() *Event[T] {
	if m.at == m.upto && !m.reserve() {
		return nil
	}
	e := &m.hand.events[m.at]
	m.at++
	return e
}

// reserve claims events for the worker. It is false when the hand is empty.
func (m *mailbox[T]) reserve() bool {
	for {
		i := m.claimed.Load()
		n := min(int64(m.batch), int64(m.hand.to)-i)
		if n == 0 {
			return false
		}
		if m.claimed.CompareAndSwap(i, i+n) {
			m.at, m.upto = int(i), int(i+n)
			m.madeRoom()
			return true
		}
	}
}

// finished returns how many of all events the worker has finished with, between two of them.
func (m *mailbox[T]) finished() int {
	if m.at < m.upto {
		return m.handed - (m.hand.to - m.at) // dispatchers may have dropped some behind the hand
	}
	return m.taken - (m.hand.to - int(m.claimed.Load()))
}

// claim takes the next event out of the hand, for a dispatcher to drop it, and tells where it
// is there. It returns nil when the hand is empty. Under the lock.
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
	if m.at < m.upto || int(m.claimed.Load()) < m.hand.to { // a listener ended the goroutine of the last visit
		return true, false
	}
	if m.hand.chunk != nil {
		m.hand.release(r)
		m.hand = span[T]{}
	}
	if m.waits() > 0 {
		m.hand = m.take()
		m.handed = m.taken
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
