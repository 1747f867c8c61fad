package hub

import (
	"slices"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// ears bring events of other hubs to the listeners of this one: not on the goroutine that
// follows the log, on which a listener's own dispatch waits.
type ears struct {
	hub   *Hub
	queue []eventtarget.Event[eventtarget.Raw]
	bytes int // of queue
	runs  bool
}

// hear takes an event. As much may wait for listeners that hold up delivery as the hub's
// log has.
func (x *ears) hear(e eventtarget.Event[eventtarget.Raw]) {
	h := x.hub
	h.mu.Lock()
	full := len(x.queue) > 0 && (len(x.queue) >= h.opts.LogEvents || x.bytes+size(&e) > h.opts.LogBytes)
	if !full {
		x.queue = append(x.queue, e)
		x.bytes += size(&e)
	}
	start := !x.runs && !full
	x.runs = x.runs || start
	h.mu.Unlock()
	switch {
	case full:
		h.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Topic: e.Topic(), Count: 1, Err: eventtarget.ErrOverflow})
	case start:
		h.wg.Go(x.run)
	}
}

func (x *ears) run() {
	for {
		x.hub.mu.Lock()
		batch := slices.Clip(x.queue)
		x.queue, x.bytes = nil, 0
		x.runs = len(batch) > 0
		x.hub.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, e := range batch {
			_ = x.hub.registry.Deliver(x.hub.ctx, e) // ErrClosed: nobody is there to hear it
		}
	}
}
