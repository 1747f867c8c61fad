package hub

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

const (
	// lanes is how many events are handed to the bus at once; those of one dispatcher
	// are in one lane, one behind the other.
	lanes = 16
	// atOnce and bytesAtOnce bound the events of a lane that are handed over together, so
	// that a bus that is slow is seen to take something: see busStall.
	atOnce, bytesAtOnce = 256, 128 << 10
	// busStall is how long the bus may take nothing and still be waited for by those who
	// dispatch more than finds room: a bus that is stuck holds nobody up, one that is merely
	// slower sets the pace.
	busStall = 100 * time.Millisecond
)

// outbox is what waits for the bus.
type outbox struct {
	mu     sync.Mutex
	lanes  [lanes]lane
	events int
	bytes  int
	took   time.Time     // when the bus last took something, or the first one came
	room   chan struct{} // closed when it took something; nil while nobody waits
	closed bool          // nothing comes any more
	posts  int           // notices that wait, see post

	coming  int           // dispatches that may have been accepted and are not put yet
	arrived chan struct{} // closed when there are none; nil unless somebody waits: no more are counted then
}

// comes tells that what is about to be accepted here is to be put then. came is to follow if
// it is true.
func (m *Membership) comes() bool {
	if m == nil {
		return false
	}
	o := &m.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.arrived != nil {
		return false
	}
	o.coming++
	return true
}

func (m *Membership) came(counted bool) {
	if !counted {
		return
	}
	o := &m.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.coming--; o.coming == 0 && o.arrived != nil {
		close(o.arrived)
	}
}

// await waits until what was accepted before is put, bounded by ctx.
func (o *outbox) await(ctx context.Context) error {
	o.mu.Lock()
	if o.arrived == nil {
		o.arrived = make(chan struct{})
		if o.coming == 0 {
			close(o.arrived)
		}
	}
	arrived := o.arrived
	o.mu.Unlock()
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lane is events that go one behind the other. It has a goroutine only while there are some.
type lane struct {
	queue   []eventtarget.Event[eventtarget.Raw]
	running chan struct{} // closed when nothing waits any more; nil: nothing does
}

// put adds an event to a lane. Without room it waits, bounded by ctx, as long as the bus
// takes others; it is false if that was in vain.
func (m *Membership) put(ctx context.Context, n int, e eventtarget.Event[eventtarget.Raw]) bool {
	o := &m.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.events == 0 {
		o.took = time.Now()
	}
	for o.events > 0 && (o.events >= m.opts.QueueEvents || o.bytes+size(&e) > m.opts.QueueBytes) {
		if !o.wait(ctx) {
			return false
		}
	}
	if o.closed {
		return false
	}
	o.events++
	o.bytes += size(&e)
	l := &o.lanes[n]
	l.queue = append(l.queue, e)
	if l.running == nil {
		l.running = make(chan struct{})
		m.hub.wg.Go(func() { m.run(l) })
	}
	return true
}

// wait waits for room. Under mu, which it gives up meanwhile.
func (o *outbox) wait(ctx context.Context) bool {
	most := busStall - time.Since(o.took)
	if most <= 0 || eventtarget.CallerOf(ctx) == eventtarget.InlineListener {
		return false
	}
	if o.room == nil {
		o.room = make(chan struct{})
	}
	room := o.room
	o.mu.Unlock()
	defer o.mu.Lock()
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-room:
		return true
	case <-late.C:
		return true // to look once more
	case <-ctx.Done():
		return false
	}
}

// run hands a lane's events to the bus.
func (m *Membership) run(l *lane) {
	o := &m.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(l.queue) > 0 {
		n, bytes := 1, size(&l.queue[0])
		for m.batches != nil && n < min(len(l.queue), atOnce) && bytes+size(&l.queue[n]) <= bytesAtOnce {
			bytes += size(&l.queue[n])
			n++
		}
		some := slices.Clone(l.queue[:n])
		clear(l.queue[:n])
		l.queue = l.queue[n:]
		o.mu.Unlock()
		took := m.hand(some)
		o.mu.Lock()
		o.events -= n
		o.bytes -= bytes
		if took {
			o.took = time.Now()
		}
		if o.room != nil {
			close(o.room)
			o.room = nil
		}
	}
	l.queue = nil
	close(l.running)
	l.running = nil
}

// close refuses what comes, and returns how many events wait.
func (o *outbox) close() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return uint64(o.events)
}

// posted notes that a notice waits no more.
func (o *outbox) posted() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.posts--
}

// drain waits until nothing waits any more.
func (o *outbox) drain(ctx context.Context) error {
	for i := range o.lanes {
		o.mu.Lock()
		running := o.lanes[i].running
		o.mu.Unlock()
		if running == nil {
			continue
		}
		select {
		case <-running:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// size is about what an event costs while it waits.
func size(e *eventtarget.Event[eventtarget.Raw]) int {
	return len(e.Type) + len(e.ID) + len(e.Payload) + 128
}

var laneSeed = maphash.MakeSeed()
