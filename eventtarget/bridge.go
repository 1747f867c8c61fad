package eventtarget

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/internal/option"
	"github.com/eventtarget-go/toolkit/internal/trace"
)

const (
	// BridgeHeader is the header by which bridges know what they have carried:
	// "origin/sequence/hops". Origin names the hub or the bridge that took the event
	// first and is new whenever one is made, so a sequence never begins again. Who
	// dispatches anew what he has heard leaves it out, or it may be taken for a repeat.
	BridgeHeader = "bridge"
	// DefaultHopLimit is how many bridges an event passes by default.
	DefaultHopLimit = 8
)

// BridgeOptions configures a [Bridge]. A zero field means its default.
type BridgeOptions struct {
	// Topics are the selectors of what is carried. Default: everything. They
	// should not overlap: what two of them select is carried once.
	Topics []Topic
	// HopLimit is how many bridges an event may have passed, this one
	// included. Default [DefaultHopLimit].
	HopLimit int
	// Queue is how many events may wait in each direction. When it is full,
	// whoever delivers waits, so that the slower side sets the pace. Default
	// [DefaultQueue].
	Queue int
	// Timeout is how long one event may wait for room where it is carried to: in the queue
	// of a listener with [Block], another bridge's among them, or in the log of a link with
	// Block. Then it is not carried there, and what follows does not wait before something
	// finds room at once: what is stuck on one side does not hold up the other one for
	// longer than that. Default 5 s; negative: nothing waits.
	Timeout time.Duration
	// OnFault hears of events that could not be carried; nil hands them to the
	// target that they came from.
	OnFault func(Fault)
}

// Bridging is two targets joined by [Bridge].
type Bridging struct {
	opts   BridgeOptions
	origin *trace.Origin
	sides  [2]Target
	regs   [2][]*Registration
	stuck  [2]atomic.Bool // by the side that events come from: the other one has no room
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	carried trace.Window
}

// Bridge joins two targets: what is heard on one is dispatched on the other, with
// its headers. It holds for any number of bridges, hubs and echoing buses that no
// event goes round for ever: an event carries who took it first, its number there and
// how many bridges it passed, and a bridge drops what it has carried before, as far as
// the last 65536 events tell, and what is over the hop limit.
//
// Where two ways lead from one target to another, as in a ring, an event is heard once
// if the targets are hubs, all with the option Bridged (package hub), which take what comes
// both ways once, in the order of each dispatcher. Otherwise the bridge at each way takes
// an event first that has no header yet, and it is heard once for each way.
//
// Of a hub's own dispatches a bridge hears, and carries, only those of one with Echo, unless
// its end is a client of the hub. What cannot be carried is told as a fault; where there is no
// room, see [BridgeOptions], with [context.DeadlineExceeded] or [ErrWouldBlock]. In a ring it
// still comes the other way, and may be behind what followed it.
//
// ctx bounds the call only. nil options are the defaults.
func Bridge(ctx context.Context, a, b Target, opts *BridgeOptions) (*Bridging, error) {
	g := &Bridging{origin: trace.NewOrigin(), sides: [2]Target{a, b}, done: make(chan struct{})}
	if opts != nil {
		g.opts = *opts
	}
	if len(g.opts.Topics) == 0 {
		g.opts.Topics = []Topic{{Wildcard, Wildcard}}
	}
	// A negative HopLimit would carry nothing.
	if err := cmp.Or(option.NotNegative("HopLimit", g.opts.HopLimit), option.NotNegative("Queue", g.opts.Queue)); err != nil {
		return nil, &Error{Op: "bridge", Err: err}
	}
	if g.opts.HopLimit == 0 {
		g.opts.HopLimit = DefaultHopLimit
	}
	if g.opts.Timeout == 0 {
		g.opts.Timeout = 5 * time.Second
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	ctx = context.WithValue(ctx, carrierKey{}, g)
	for side, target := range g.sides {
		for _, topic := range g.opts.Topics {
			r, err := target.Add(ctx, topic, Listener[Raw]{
				Handle:   func(ctx context.Context, e Event[Raw]) { g.carry(ctx, side, e) },
				Queue:    g.opts.Queue,
				Overflow: Block,
			})
			if err != nil {
				g.Close()
				return nil, err
			}
			g.regs[side] = append(g.regs[side], r)
		}
	}
	go g.reap()
	return g, nil
}

// Close takes the bridge down and never waits. It returns nil.
func (g *Bridging) Close() error {
	g.cancel()
	for side, target := range g.sides {
		for _, r := range g.regs[side] {
			target.Remove(r)
		}
	}
	return nil
}

// Done is closed when the bridge carries nothing any more: after Close, or when
// both targets were closed.
func (g *Bridging) Done() <-chan struct{} { return g.done }

// reap waits for the registrations to end.
func (g *Bridging) reap() {
	for _, side := range g.regs {
		for _, r := range side {
			<-r.Done()
		}
	}
	g.cancel()
	close(g.done)
}

// carry takes an event that was heard on one side to the other.
func (g *Bridging) carry(ctx context.Context, side int, e Event[Raw]) {
	id, hops, known := trace.Parse(e.Headers[BridgeHeader])
	switch {
	case !known:
		id = g.origin.Next()
	case g.origin.Owns(id): // it was carried, whatever its number
		return
	}
	if hops >= g.opts.HopLimit {
		g.fault(side, e, fmt.Errorf("%w: passed %d bridges", ErrLimit, hops))
		return
	}
	if known && !g.first(id) {
		return
	}
	headers := make(map[string]string, len(e.Headers)+1)
	maps.Copy(headers, e.Headers)
	headers[BridgeHeader] = id.Header(hops + 1)
	until := ctx // in which nothing waits, since a listener dispatches
	if g.opts.Timeout > 0 && !g.stuck[side].Load() {
		patience, over := context.WithTimeout(g.ctx, g.opts.Timeout)
		defer over()
		until = carrying{patience, ctx, g}
	}
	err := g.sides[1-side].Dispatch(until, Event[Raw]{Type: e.Type, ID: e.ID, Payload: e.Payload, Headers: headers})
	switch {
	case err == nil:
		g.stuck[side].Store(false)
		return
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrWouldBlock):
		g.stuck[side].Store(true)
	}
	g.fault(side, e, err)
}

// carrying is the context in which a bridge dispatches. It has the values of the listener's,
// but is of one who may wait: a bridge does nothing else.
type carrying struct {
	context.Context
	values context.Context
	bridge *Bridging
}

// carrierKey is the key of the bridge in the context in which it adds its listeners, and in
// that in which it dispatches, so that it never waits for itself: what it hears of its own,
// from a target with echo, it does not carry.
type carrierKey struct{}

// Value leaves CallerOf without an answer.
func (c carrying) Value(key any) any {
	switch key {
	case callerKey{}:
		return nil
	case carrierKey{}:
		return c.bridge
	}
	if v := c.Context.Value(key); v != nil { // for package context itself
		return v
	}
	return c.values.Value(key)
}

// first tells whether an event has not been carried before, and remembers it.
func (g *Bridging) first(id trace.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.carried.First(id)
}

func (g *Bridging) fault(side int, e Event[Raw], err error) {
	f := Fault{Kind: FaultDispatch, Adapter: "bridge", Topic: e.Topic(), Peer: peerID(e.Source), Count: 1, Err: err}
	if g.opts.OnFault != nil {
		g.opts.OnFault(f)
	} else if r, ok := g.sides[side].(FaultReporter); ok {
		r.ReportFault(f)
	}
}
