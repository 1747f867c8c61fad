package hub

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/trace"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// errRepeat is what becomes of an event that was accepted before. Nobody is told.
var errRepeat = errors.New("a repeat")

// bridged is what a hub that bridges join knows of the events that it has accepted. nil: it
// is none.
type bridged struct {
	limits eventtarget.Limits
	origin *trace.Origin
	shares bool          // other hubs have its log, in whose order repeats are found
	holdUp time.Duration // for how long listeners may hold up the next event of the same origin

	mu     sync.Mutex
	window trace.Window // of what came from elsewhere; of everything, with a shared log
	last   map[string]*turn
}

func newBridged(o Options) *bridged {
	_, shares := o.Store.(SharedStore)
	return &bridged{limits: o.Limits, origin: trace.NewOrigin(), shares: shares, holdUp: o.WriteTimeout, last: make(map[string]*turn)}
}

// turn is that of an event among those of its origin.
type turn struct {
	accepted, over chan struct{} // closed when it is
	before         *turn         // of one that has given up: who is to be waited for instead
}

// wait waits until the events up to this one are accepted, and for the listeners here, but no
// longer than holdUp each: they may be waiting for what waits here, or for its bridge.
func (t *turn) wait(ctx context.Context, holdUp time.Duration) error {
	if eventtarget.CallerOf(ctx) == eventtarget.InlineListener {
		return nil // it may hold up all of them
	}
	for ; t != nil; t = t.before {
		select {
		case <-t.accepted:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if t.isOver() {
			continue
		}
		late := time.NewTimer(holdUp)
		select {
		case <-t.over:
		case <-late.C:
		}
		late.Stop()
	}
	return nil
}

// passage is the way of one event into the hub. The zero one is that of any event where
// there are no bridges.
type passage struct {
	by     *bridged // nil: it begins here
	id     trace.ID
	turn   *turn
	header string // not empty: the hub has added it
	far    bool   // a bridge brings it
}

// enter begins the way of an event, which it gives a header if that has none. What one hub
// took first goes in one behind the other, whichever ways bring it: all of them keep the
// order, so that whatever comes first does, too. The error is errRepeat, or ctx's cause.
func (b *bridged) enter(ctx context.Context, e *eventtarget.Event[eventtarget.Raw]) (passage, error) {
	if b == nil {
		return passage{}, nil
	}
	id, hops, ok := trace.Parse(e.Headers[eventtarget.BridgeHeader])
	owns := ok && b.origin.Owns(id)
	switch {
	case !ok || owns && hops == 0: // no bridge brings it: somebody dispatches what he heard here
		return passage{header: b.stamp(e)}, nil
	case owns:
		return passage{}, errRepeat
	}
	p := passage{by: b, id: id, far: hops > 0, turn: &turn{accepted: make(chan struct{}), over: make(chan struct{})}}
	b.mu.Lock()
	if !b.shares && !b.window.First(id) {
		b.mu.Unlock()
		return passage{}, errRepeat
	}
	before := b.last[id.Origin()]
	b.last[id.Origin()] = p.turn
	b.mu.Unlock()
	if err := before.wait(ctx, b.holdUp); err != nil {
		p.turn.before = before
		p.accepted(err)
		p.leave()
		return passage{}, err
	}
	return p, nil
}

// accepted tells that the event is, or why not: then it may come again.
func (p passage) accepted(err error) {
	if p.by == nil {
		return
	}
	if err != nil && !p.by.shares && !errors.Is(err, eventtarget.ErrUnknownOutcome) {
		p.by.mu.Lock()
		p.by.window.Forget(p.id)
		p.by.mu.Unlock()
	}
	close(p.turn.accepted)
}

// leave ends the way.
func (p passage) leave() {
	if p.by == nil {
		return
	}
	p.by.mu.Lock()
	defer p.by.mu.Unlock()
	close(p.turn.over)
	origin := p.id.Origin()
	if p.by.last[origin] != p.turn {
		return
	}
	last := p.turn.before
	for last != nil && last.isOver() {
		last = last.before
	}
	if last == nil {
		delete(p.by.last, origin)
	} else {
		p.by.last[origin] = last
	}
}

func (t *turn) isOver() bool {
	select {
	case <-t.over:
		return true
	default:
		return false
	}
}

// isBridge tells whether a spoke may send the header of bridges. One of which the user's function
// panics may not.
func (s *Spoke) isBridge() (yes bool) {
	if s.hub.opts.BridgedBy == nil {
		return true
	}
	returned := false
	defer func() {
		if !returned {
			s.hub.hookPanicked(s.ID(), "BridgedBy", recover())
		}
	}()
	yes = s.hub.opts.BridgedBy(s)
	returned = true
	return yes
}

// unbridged takes the header of bridges out of what a spoke sends that is no end of one.
func (s *Spoke) unbridged(m *wire.Message, msg []byte) []byte {
	const name = eventtarget.BridgeHeader
	if _, found := m.Headers[name]; !found || s.isBridge() {
		return msg
	}
	headers := maps.Clone(m.Headers)
	delete(headers, name)
	msg = wire.Append(nil, &eventtarget.Event[eventtarget.Raw]{Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: headers})
	*m, _ = wire.Decode(msg, s.hub.opts.Limits) // it is ours, and smaller
	return msg
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

// dispatcher names whom the event's order is with: another, or the hub that took it first.
func (p passage) dispatcher(other string) string {
	if p.by == nil {
		return other
	}
	return p.id.Origin()
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

// brings tells whether an event that stands in a log which hubs share may come from any of
// them, because another hub took it first: the order in which it is heard is the log's then.
func (b *bridged) brings(headers map[string]string) bool {
	if b == nil {
		return false
	}
	id, _, ok := trace.Parse(headers[eventtarget.BridgeHeader])
	return ok && !b.origin.Owns(id)
}

// byLog tells whether the hub's own listeners hear the event out of a log that hubs share.
func (p passage) byLog() bool { return p.by != nil && p.by.shares }
