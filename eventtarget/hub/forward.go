package hub

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

const (
	// ownType begins the types of events that hubs send each other.
	ownType = "et.hub"
	// toType begins those of events for an audience.
	toType = ownType + ".to."
	// busHeader is the header of an event on the bus: the hub that it comes from, a dot,
	// and fromHub or fromSpoke.
	busHeader = "hub"
	fromHub   = "d"
	fromSpoke = "s"
	// lanes is how many events are handed to the bus at once; those of one dispatcher
	// are in one lane, one behind the other.
	lanes = 16
	// atOnce and bytesAtOnce bound the events of a lane that are handed over together, so
	// that a bus that is slow is seen to take something: see busStall.
	atOnce, bytesAtOnce = 256, 128 << 10
)

// busStall is how long the bus may take nothing and still be waited for by those who
// dispatch more than finds room: a bus that is stuck holds nobody up, one that is merely
// slower sets the pace.
const busStall = 100 * time.Millisecond

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

// forward hands an event that was accepted here to the other hubs. What dispatches the
// same dispatcher names it by the same text.
func (h *Hub) forward(ctx context.Context, dispatcher, kind string, e *eventtarget.Event[eventtarget.Raw]) {
	m := h.joined.Load()
	if m == nil || strings.HasPrefix(e.Type, ownType) || h.sharesLog() {
		return
	}
	sent := wire.Clone(e)
	if sent.Headers == nil {
		sent.Headers = make(map[string]string, 1)
	}
	sent.Headers[busHeader] = m.id + "." + kind
	m.pass(ctx, dispatcher, sent)
}

// pass puts an event into its dispatcher's lane.
func (m *Membership) pass(ctx context.Context, dispatcher string, e eventtarget.Event[eventtarget.Raw]) {
	if !m.put(ctx, int(maphash.String(laneSeed, dispatcher)%lanes), e) {
		m.lose(e, eventtarget.ErrOverflow, false)
	}
}

// lose notes that the bus does not get an event, or may not have got it. The hub's owner is
// told of the first one since the other hubs were told.
func (m *Membership) lose(e eventtarget.Event[eventtarget.Raw], why error, perhaps bool) {
	if m.missing.add(e.Type, perhaps) && m.ctx.Err() == nil {
		m.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDispatch, Topic: e.Topic(), Count: 1, Err: why})
	}
}

// hand gives events to the bus, and tells whether that took any. What is missing before
// them is told first, so that a gap stands where it is; if that cannot be, they are
// missing, too.
func (m *Membership) hand(events []eventtarget.Event[eventtarget.Raw]) (took bool) {
	var err error
	if m.missing.any() || len(m.telling) > 0 {
		err = m.tellMissing(m.ctx)
	}
	ctx, cancel := context.WithTimeout(m.ctx, m.opts.Patience)
	defer cancel()
	var errs []error
	switch {
	case err != nil:
	case m.batches != nil:
		errs = m.batches.DispatchAll(ctx, events)
	default:
		errs = []error{m.bus.Dispatch(ctx, events[0])}
	}
	for i := range events {
		why := err
		if errs != nil {
			why = errs[i]
		}
		if why != nil {
			m.lose(events[i], why, err == nil && errors.Is(why, eventtarget.ErrUnknownOutcome))
		} else {
			took = true
		}
	}
	return took
}

// missing is what the bus did not get, and the other hubs do not know of yet.
type missing struct {
	mu    sync.Mutex
	count uint64
	vague bool                // of some it is not known whether the bus got them
	types map[string]struct{} // nil while count is not 0: too many to tell

	notices uint64  // how many there were
	unsure  *notice // the last one, if the bus does not say whether it took it
}

// maxMissing bounds the types that one notice names.
const maxMissing = 64

// add counts one, and tells whether it is the first.
func (x *missing) add(eventType string, perhaps bool) (first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.vague = x.vague || perhaps
	if first = x.count == 0; first {
		x.types = make(map[string]struct{})
	}
	x.count++
	if x.types != nil {
		x.types[eventType] = struct{}{}
		if len(x.types) > maxMissing {
			x.types = nil
		}
	}
	return first
}

func (x *missing) any() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count > 0 || x.unsure != nil
}

// take returns a notice of what there is; nil: there is nothing. It is to be settled.
func (x *missing) take() *notice {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.unsure != nil:
		return x.unsure
	case x.count == 0:
		return nil
	}
	x.notices++
	n := &notice{Kind: noticeLost, Number: x.notices, missed: x.count, Types: slices.Sorted(maps.Keys(x.types))}
	if !x.vague {
		n.Count = x.count
	}
	x.count, x.vague, x.types = 0, false, nil
	return n
}

// settle says what came of telling. What the others may know already is told again as it
// was, under its number; what they do not know, with what is missing by then.
func (x *missing) settle(n *notice, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case err == nil:
		x.unsure = nil
		return
	case x.unsure == n || errors.Is(err, eventtarget.ErrUnknownOutcome):
		x.unsure = n
		return
	}
	all := len(n.Types) == 0 || x.count > 0 && x.types == nil
	x.count += n.missed
	x.vague = x.vague || n.Count == 0
	if all {
		x.types = nil
		return
	}
	if x.types == nil {
		x.types = make(map[string]struct{})
	}
	for _, t := range n.Types {
		x.types[t] = struct{}{}
	}
}

// tellMissing tells the other hubs what they have missed, if anything, and waits for that,
// no longer than Patience.
func (m *Membership) tellMissing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.opts.Patience)
	defer cancel()
	select {
	case m.telling <- struct{}{}:
		defer func() { <-m.telling }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		n := m.missing.take()
		if n == nil {
			return nil
		}
		err := m.send(ctx, "", *n)
		m.missing.settle(n, err)
		if err != nil {
			return err
		}
	}
}

// address is whom an event is for that is not for everyone: a group, or an identity.
type address struct {
	Group    string `json:"group,omitempty"`
	Identity string `json:"identity,omitempty"`
}

// key is the wants' key of an address: the type of the events that go there.
func (a address) key() string {
	text := "g" + a.Group
	if a.Identity != "" {
		text = "i" + a.Identity
	}
	return toType + digest(text)
}

// addressed is the payload of an event on the bus for an audience.
type addressed struct {
	address
	Hub   string              `json:"hub"`
	Event json.RawMessage     `json:"event,omitempty"` // an envelope
	Close *eventtarget.Reason `json:"close,omitempty"` // instead of an event
}

// forwardTo is forward for an audience. Without an address it is one of this hub alone.
func (h *Hub) forwardTo(ctx context.Context, to address, p addressed) {
	m := h.joined.Load()
	if m == nil || to == (address{}) || h.sharesLog() {
		return
	}
	p.address, p.Hub = to, m.id
	payload, err := json.Marshal(p)
	if err != nil { // it cannot be: an envelope is JSON
		m.missing.add(to.key(), false)
		return
	}
	m.pass(ctx, ownDispatcher, eventtarget.Event[eventtarget.Raw]{Type: to.key(), Payload: payload})
}

// ownDispatcher names all who dispatch in the hub's own process.
const ownDispatcher = ""

var (
	errNoHub     = errors.New("no notice of a hub")
	errCrowd     = errors.New("more hubs than there can be")
	errLateBus   = errors.New("the bus was late to confirm what is wanted")
	errVanished  = errors.New("a hub has gone without a word")
	errNotPassed = errors.New("a hub could not hand over what it accepted")
)
