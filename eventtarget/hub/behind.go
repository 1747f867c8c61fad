package hub

import (
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// crowded tells whether more than half of what may wait does.
func (b *inbox) crowded() bool {
	return b.count > b.bounds.count/2 || b.bytes > b.bounds.bytes/2
}

// isCrowded is crowded, for others.
func (b *inbox) isCrowded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.crowded()
}

// wouldBlock tells whether a dispatcher has to wait before it puts anything in.
func (b *inbox) wouldBlock() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.policy == eventtarget.Block && !b.ended && b.full(0)
}

// wait returns what is closed when a message was taken, and how long that may be
// waited for: not at all when there is room, and not for ever for one that takes
// nothing, or little.
func (b *inbox) wait(now time.Time) (room <-chan struct{}, most time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	block := b.policy == eventtarget.Block
	switch {
	case b.ended || !b.crowded() || block && !b.full(0):
		return nil, 0
	case block:
		most = time.Hour // until the spoke takes one, or is gone
	default:
		most = min(stallAfter-now.Sub(b.took), slowAfter-b.held)
	}
	if b.room == nil {
		b.room = make(chan struct{})
	}
	return b.room, most
}

// waited notes how long a dispatcher was held up.
func (b *inbox) waited(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held += d
}

// isHeld tells whether a snapshot is in the way of everything that waits.
func (b *inbox) isHeld() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) > 0 && b.items[0].do != nil && b.items[0].do.kind == doHold
}

// letGo is open, for others.
func (b *inbox) letGo() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open()
}

// open wakes the dispatchers that wait for room.
func (b *inbox) open() {
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
}

// missed notes that n messages were lost behind the inbox.
func (b *inbox) missed(n uint64) {
	b.mu.Lock()
	defer b.unlock()
	b.lost += n
	b.untold += n
}

// losses returns how many messages the spoke has lost, ever.
func (b *inbox) losses() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// overflow returns the spoke's policy.
func (b *inbox) overflow() eventtarget.Overflow {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.policy
}

// gap returns how many lost events the peer has not been told of.
func (b *inbox) gap() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.untold
}

// told notes that the peer was told of n.
func (b *inbox) told(n uint64) {
	b.mu.Lock()
	defer b.unlock()
	b.untold -= n
}
