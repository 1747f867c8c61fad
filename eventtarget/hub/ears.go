package hub

import (
	"context"
	"errors"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// ears bring events of other hubs to the listeners of this one: not on the goroutine that
// follows the log, on which a listener's own dispatch waits.
type ears struct {
	hub *Hub

	mu    sync.Mutex
	queue []said
	bytes int    // of queue
	lost  uint64 // how many found no room behind the queue: what comes now is lost, too
	runs  bool
	idle  chan struct{} // closed when it does not run any more; nil: nobody waits

	// Of the goroutine that delivers:
	batch  []said // taken out of queue
	missed uint64 // lost behind it
	late   uint64 // for the listeners, which were closed meanwhile
}

// said is an event; or an uplink: what waits there comes first; or what is closed in its turn.
type said struct {
	event eventtarget.Event[eventtarget.Raw]
	first *uplink
	mark  chan struct{}
}

// hear takes an event, if somebody here hears it. As much may wait for listeners that hold up
// delivery as the hub's log has.
func (x *ears) hear(e eventtarget.Event[eventtarget.Raw]) {
	if !x.hub.registry.Hears(e.Topic()) {
		return
	}
	o := &x.hub.opts
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lost > 0 || len(x.queue) > 0 && (len(x.queue) >= o.LogEvents || x.bytes+size(&e) > o.LogBytes) {
		x.lost++
		return
	}
	x.put(said{event: e})
	x.bytes += size(&e)
}

// behind has what comes now wait until what a spoke has sent to this hub has been heard: the
// spoke's peer says more at another one.
func (x *ears) behind(first *uplink) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(said{first: first})
}

// mark returns what is closed when all that came before has been heard; nil if it has. Behind
// that comes what a spoke sends to this hub, whose peer said it at another one.
func (x *ears) mark() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.runs {
		return nil
	}
	m := make(chan struct{})
	x.put(said{mark: m})
	return m
}

// put adds to the queue. Under mu.
func (x *ears) put(s said) {
	x.queue = append(x.queue, s)
	if !x.runs {
		x.runs = true
		x.hub.wg.Go(x.run)
	}
}

// run delivers what waits until nothing does. What was lost is told in its place: between
// what had found room before and what comes next.
func (x *ears) run() {
	ended := false
	defer func() {
		if !ended { // an Inline listener has ended this goroutine (runtime.Goexit)
			x.hub.wg.Go(x.run)
		}
	}()
	for x.next() {
		for len(x.batch) > 0 {
			s := x.batch[0]
			x.batch = x.batch[1:]
			switch {
			case s.first != nil:
				s.first.settle()
			case s.mark != nil:
				close(s.mark)
			case errors.Is(x.hub.registry.Deliver(x.hub.ctx, s.event), eventtarget.ErrClosed):
				x.late++
			}
		}
		if late := x.late; late > 0 {
			x.late = 0
			x.hub.discarded.Store(true) // before a Shutdown can see that nothing waits
			x.hub.tellDiscarded(late)
		}
		if lost := x.missed; lost > 0 {
			x.missed = 0
			x.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: lost, Err: eventtarget.ErrOverflow})
		}
	}
	ended = true
}

// next takes what waits, unless there is still something of what was taken before. It is
// false if there is nothing, and run is to end then.
func (x *ears) next() bool {
	if len(x.batch) > 0 || x.missed > 0 {
		return true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.batch, x.missed = x.queue, x.lost
	x.queue, x.bytes, x.lost = nil, 0, 0
	x.runs = len(x.batch) > 0
	if !x.runs && x.idle != nil {
		close(x.idle)
		x.idle = nil
	}
	return x.runs
}

// drain waits until the listeners have, or have lost, what came, bounded by ctx.
func (x *ears) drain(ctx context.Context) error {
	x.mu.Lock()
	if !x.runs {
		x.mu.Unlock()
		return nil
	}
	if x.idle == nil {
		x.idle = make(chan struct{})
	}
	idle := x.idle
	x.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
