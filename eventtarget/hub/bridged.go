package hub

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/trace"
)

// turnWait is how long an event waits for the one before it from the same hub, which came
// another way: only listeners hold that up for longer, who may be waiting for this one.
const turnWait = 100 * time.Millisecond

// errRepeat is what becomes of an event that was accepted before. Nobody is told.
var errRepeat = errors.New("a repeat")

// bridged is what a hub that bridges join knows of the events that it has accepted. nil: it
// is none.
type bridged struct {
	limits eventtarget.Limits
	origin *trace.Origin
	shares bool // other hubs have its log, in whose order repeats are found

	mu     sync.Mutex
	window trace.Window // of what came from elsewhere; of everything, with a shared log
	turns  map[string]chan struct{}
}

func newBridged(o Options) *bridged {
	_, shares := o.Store.(SharedStore)
	return &bridged{limits: o.Limits, origin: trace.NewOrigin(), shares: shares, turns: make(map[string]chan struct{})}
}

// passage is the way of one event into the hub. The zero one is that of any event where
// there are no bridges.
type passage struct {
	by     *bridged // nil: it began here
	id     trace.ID
	turn   chan struct{} // closed when it is through
	header string        // not empty: the hub has added it
	far    bool          // a bridge has brought it
}

// enter begins the way of an event, which it gives a header if that has none; errRepeat
// ends it. What one hub took first goes through one behind the other, whichever ways bring
// it: all of them keep the order, so that whatever comes first does, too.
func (b *bridged) enter(ctx context.Context, e *eventtarget.Event[eventtarget.Raw]) (passage, error) {
	if b == nil {
		return passage{}, nil
	}
	id, hops, ok := trace.Parse(e.Headers[eventtarget.BridgeHeader])
	if !ok {
		return passage{header: b.stamp(e)}, nil
	}
	if b.origin.Owns(id) {
		return passage{}, errRepeat
	}
	b.mu.Lock()
	if !b.shares && !b.window.First(id) {
		b.mu.Unlock()
		return passage{}, errRepeat
	}
	p := passage{by: b, id: id, turn: make(chan struct{}), far: hops > 0}
	before := b.turns[id.Origin()]
	b.turns[id.Origin()] = p.turn
	b.mu.Unlock()
	if before != nil && eventtarget.CallerOf(ctx) != eventtarget.InlineListener {
		late := time.NewTimer(turnWait)
		defer late.Stop()
		select {
		case <-before:
		case <-late.C:
		}
	}
	return p, nil
}

// stamp gives an event its header, and returns that. It is empty if the event has no room
// for it: then no bridge carries it either, which needs a header that is longer.
func (b *bridged) stamp(e *eventtarget.Event[eventtarget.Raw]) string {
	const name = eventtarget.BridgeHeader
	header := b.origin.Next().Header(0)
	size, n := len(e.Type)+len(e.ID)+len(e.Payload)+len(name)+len(header), 1
	for other, value := range e.Headers {
		if other != name {
			size += len(other) + len(value)
			n++
		}
	}
	if size > b.limits.Message || n > b.limits.Headers || len(name)+len(header) > b.limits.HeaderBytes {
		return ""
	}
	headers := make(map[string]string, n)
	maps.Copy(headers, e.Headers)
	headers[name] = header
	e.Headers = headers
	return header
}

// dispatcher returns whom the event's order is with: the one who says so, or the hub that
// took it first.
func (p passage) dispatcher(other string) string {
	if p.by == nil {
		return other
	}
	return p.id.Origin()
}

// leave ends the way. What was not accepted may come again.
func (p passage) leave(err error) {
	b := p.by
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && !b.shares {
		b.window.Forget(p.id)
	}
	if origin := p.id.Origin(); b.turns[origin] == p.turn {
		delete(b.turns, origin)
	}
	close(p.turn)
}

// repeats tells whether an event that stands in a log which hubs share is one that stands
// there before.
func (b *bridged) repeats(headers map[string]string) bool {
	if b == nil {
		return false
	}
	id, _, ok := trace.Parse(headers[eventtarget.BridgeHeader])
	b.mu.Lock()
	defer b.mu.Unlock()
	return ok && !b.window.First(id)
}

// isFar tells whether a bridge has brought an event.
func (b *bridged) isFar(headers map[string]string) bool {
	if b == nil {
		return false
	}
	_, hops, ok := trace.Parse(headers[eventtarget.BridgeHeader])
	return ok && hops > 0
}
