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
	more   chan struct{} // closed and replaced by each event
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
	rec := &record{t: r.t, more: make(chan struct{})}
	l.Handle = rec.handle
	rec.reg = r.add(at, topic, l)
	return rec
}

func (rec *record) handle(_ context.Context, e event) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.events = append(rec.events, e)
	close(rec.more)
	rec.more = make(chan struct{})
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
		rec.mu.Lock()
		events, more := rec.events, rec.more
		rec.mu.Unlock()
		if len(events) >= n {
			return events
		}
		select {
		case <-more:
		case <-rec.t.ctx.Done():
			rec.t.Fatalf("heard %d of %d events on %v", len(events), n, rec.reg.Topic())
		}
	}
}

// payloads returns what was heard, in short.
func payloads(events []event) []string {
	var all []string
	for _, e := range events {
		all = append(all, string(e.Payload))
	}
	return all
}
