package conformance

import (
	"context"
	"slices"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// record is what a listener has heard.
type record struct {
	t   *T
	reg *eventtarget.Registration

	mu     sync.Mutex
	events []event
	want   int           // of the waiter that wants the fewest
	there  chan struct{} // closed when there are as many; nil while nobody waits
}

// listen adds a queued listener that records.
func (r *rig) listen(at int, topic eventtarget.Topic) *record {
	return r.record(at, topic, eventtarget.Listener[raw]{})
}

// listenInline adds an Inline listener that records: what was delivered before a
// sentinel is recorded when the sentinel is heard.
func (r *rig) listenInline(at int, topic eventtarget.Topic) *record {
	return r.record(at, topic, eventtarget.Listener[raw]{Inline: true})
}

func (r *rig) record(at int, topic eventtarget.Topic, l eventtarget.Listener[raw]) *record {
	rec := &record{t: r.t}
	l.Handle = rec.handle
	rec.reg = r.add(at, topic, l)
	return rec
}

func (rec *record) handle(_ context.Context, e event) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.events = append(rec.events, e)
	if rec.there != nil && len(rec.events) >= rec.want {
		close(rec.there)
		rec.there = nil
	}
}

func (rec *record) all() []event {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Clip(rec.events)
}

func (rec *record) len() int { return len(rec.all()) }

// wait returns the events when there are n.
func (rec *record) wait(n int) []event {
	for {
		events, there := rec.whenThere(n)
		if there == nil {
			return events
		}
		select {
		case <-there:
		case <-rec.t.ctx.Done():
			rec.t.Fatalf("heard %d of %d events on %v", rec.len(), n, rec.reg.Topic())
		}
	}
}

// whenThere returns the events if there are n, or what is closed when there may be.
func (rec *record) whenThere(n int) ([]event, chan struct{}) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if len(rec.events) >= n {
		return rec.events, nil
	}
	if rec.there == nil {
		rec.want, rec.there = n, make(chan struct{})
	}
	rec.want = min(rec.want, n)
	return nil, rec.there
}

// payloads returns what was heard, in short.
func payloads(events []event) []string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Payload))
	}
	return all
}
