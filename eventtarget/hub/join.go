package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/option"
)

// JoinOptions configures a [Membership]. A zero field means its default.
type JoinOptions struct {
	// Name says which hub this is, in what the others are told. A hub that joins under
	// the name of one that is there takes its place. Default: a name of its own.
	Name string
	// QueueEvents and QueueBytes bound what waits for the bus. What finds no room is
	// told to the other hubs as a gap. Default 65536 and 64 MiB.
	QueueEvents, QueueBytes int
	// Patience is how long the bus may take for one event before that counts as lost.
	// Default 5 s.
	Patience time.Duration
	// Lease is how long the others count on this hub without a sign of life, of which it
	// gives three in that time. Default 3 s, at least 30 ms and at most an hour.
	Lease time.Duration
}

func (o JoinOptions) withDefaults() (JoinOptions, error) {
	if err := cmp.Or(
		option.NotNegative("QueueEvents", o.QueueEvents),
		option.NotNegative("QueueBytes", o.QueueBytes),
		option.NotNegative("Patience", o.Patience),
		option.NotNegative("Lease", o.Lease),
	); err != nil {
		return o, err
	}
	def(&o.Name, newID()[:10])
	def(&o.QueueEvents, 1<<16)
	def(&o.QueueBytes, 64<<20)
	def(&o.Patience, 5*time.Second)
	def(&o.Lease, 3*time.Second)
	switch {
	case o.Lease < minLease || o.Lease > maxLease:
		return o, fmt.Errorf("a Lease of %v is not between %v and %v", o.Lease, minLease, maxLease)
	case len(o.Name) > maxName:
		return o, fmt.Errorf("a Name of %d bytes is longer than %d", len(o.Name), maxName)
	}
	return o, nil
}

// Membership is that of a hub among those that are joined by a bus: see [Hub.Join]. All
// methods may be called from any goroutine.
//
// Owns: one goroutine that asks the bus for what is wanted, one for signs of life, and
// while something waits for the bus a few that hand it over.
type Membership struct {
	hub     *Hub
	bus     eventtarget.Target
	batches eventtarget.BatchDispatcher // the bus, if it is one
	opts    JoinOptions
	id      string
	since   time.Time

	ctx    context.Context // ends with the membership
	cancel context.CancelFunc

	outbox  outbox
	missing missing
	telling chan struct{} // has a token while the others are being told of missing
	wake    chan struct{} // has a token when dirty is not empty

	mu      sync.Mutex
	left    bool
	undo    []func()                             // what the end has to do
	regs    map[string]*eventtarget.Registration // on the bus, by wants' key
	refused map[string]refusedKey                // why the bus does not bring a key
	dirty   map[string]time.Time                 // keys that may need a step, since when
	changed chan struct{}                        // closed and replaced when regs or refused has more
	others  map[string]*Member
	polls   map[string]*poll

	inside atomic.Int32 // how many events that the bus has brought are being handled
	cut    atomic.Bool  // the bus tells that it has no connection
}

// Join makes the hub one of those that are joined by a bus, such as a redis Target: to
// their spokes and listeners they are one hub. What is dispatched at one is heard at all
// that want it; the bus is asked for the types that somebody here wants. A group, and the
// spokes of an identity, are those of all hubs. Each dispatcher's events stay in order.
//
// Local delivery never waits for the bus. To one that is an [eventtarget.BatchDispatcher] what
// gathers while it is busy goes together. What it did not get, because it was away for
// longer than Patience or too much waited, is told at the other hubs as a gap, of unknown size
// where the bus says [eventtarget.ErrUnknownOutcome], and so is
// what a bus that is an [eventtarget.FaultSource] tells to have lost itself. When a hub
// vanishes without [Membership.Leave], the others tell a gap of unknown size when its lease
// has ended: it may have accepted what it never handed over. One that is busy with what the bus
// brings does so later, for signs of life may wait behind that. Sessions end with their hub.
// Where that is not enough, let the hubs share a log: see [SharedStore]. With one, Join is
// for [Membership.Group] and the like alone, nothing of this is a gap, and a hub that
// vanishes is a FaultDisconnected.
//
// A subscription is acknowledged when the bus has confirmed it. A spoke that opens its
// connection with topics waits for that for a second at most; if it takes longer, a gap is
// told then. [Hub.Where], single spokes and what is retained stay each hub's own. An event
// that has as many headers as it may have here does not get over the bus, which carries one
// of the hub's: that is told as what the bus did not get. Types
// that begin with "et.hub" are the hubs' own and stay here. Who may publish on the bus is
// one of the hubs: it is to be as well guarded as they are.
//
// The bus must deliver the events of one dispatcher in order, each once, and carry messages
// that are 64 bytes longer than the hub's. Whether it hears itself does not matter. It stays
// the caller's, who closes it when Leave, or the hub's Shutdown, has returned. A hub is on
// one bus at a time; [eventtarget.Bridge] joins it with hubs that are not on it. Where more
// than one way leads from hub to hub then, all of them are to be Bridged and to Relay, and
// what comes both ways is heard once; but what others publish on the bus has no header of
// bridges, and comes over each way. ctx bounds the call. The error is the bus's,
// [eventtarget.ErrClosed], or says that the hub is joined.
func (h *Hub) Join(ctx context.Context, bus eventtarget.Target, opts *JoinOptions) (*Membership, error) {
	var o JoinOptions
	if opts != nil {
		o = *opts
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, h.fail("join", eventtarget.Topic{}, err)
	}
	m := &Membership{
		hub: h, bus: bus, opts: o, id: newID()[:10], since: time.Now(),
		telling: make(chan struct{}, 1), wake: make(chan struct{}, 1), changed: make(chan struct{}),
		regs: make(map[string]*eventtarget.Registration), dirty: make(map[string]time.Time), refused: make(map[string]refusedKey),
		others: make(map[string]*Member), polls: make(map[string]*poll),
	}
	m.batches, _ = bus.(eventtarget.BatchDispatcher)
	m.ctx, m.cancel = context.WithCancel(h.ctx)
	if err := h.enroll(m); err != nil {
		m.cancel()
		return nil, h.fail("join", eventtarget.Topic{}, err)
	}
	defer h.wg.Done()
	if err := m.begin(ctx); err != nil {
		_ = m.Close()
		return nil, h.fail("join", eventtarget.Topic{}, err)
	}
	return m, nil
}

// enroll makes m the hub's membership. The hub does not end before that has begun.
func (h *Hub) enroll(m *Membership) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.accepting {
		return eventtarget.ErrClosed
	}
	if !h.joined.CompareAndSwap(nil, m) {
		return errors.New("it is joined already")
	}
	h.wg.Add(1)
	return nil
}

// begin listens to the other hubs, asks for what is wanted and says that the hub is here.
func (m *Membership) begin(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.ctx, func() { cancel(eventtarget.ErrClosed) })()
	if source, ok := m.bus.(eventtarget.FaultSource); ok {
		m.atEnd(source.Observe(m.busFault))
	}
	control, err := m.bus.Add(ctx, eventtarget.T(ownType, eventtarget.Wildcard), inline(m.notice))
	if err != nil {
		return err
	}
	m.atEnd(func() { m.bus.Remove(control) })
	if err := m.want(ctx); err != nil {
		return err
	}
	if err := m.announce(ctx); err != nil {
		return err
	}
	m.hub.wg.Go(m.renew)
	return context.Cause(ctx)
}

// atEnd has something undone when the membership ends; at once if it has.
func (m *Membership) atEnd(undo func()) {
	m.mu.Lock()
	left := m.left
	if !left {
		m.undo = append(m.undo, undo)
	}
	m.mu.Unlock()
	if left {
		undo()
	}
}

// want asks the bus for what is wanted here, from now on: nothing, if events come in a log
// that the hubs share.
func (m *Membership) want(ctx context.Context) error {
	if m.hub.sharesLog() {
		return nil
	}
	m.hub.wg.Go(m.seek)
	keys := m.hub.wants.tell(m.touch)
	m.atEnd(func() { m.hub.wants.tell(nil) })
	for _, key := range keys {
		if err := m.await(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func inline(handle func(eventtarget.Event[eventtarget.Raw])) eventtarget.Listener[eventtarget.Raw] {
	return eventtarget.Listener[eventtarget.Raw]{
		Inline: true,
		Handle: func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) { handle(e) },
	}
}

// Leave hands over what waits for the bus, tells the other hubs that this one goes, and
// ends the membership. It returns ctx's cause if that was first, or the bus's error if they
// cannot be told; the membership has ended then, too, and the others tell a gap. What is
// dispatched meanwhile stays here. The hub's Shutdown calls it.
func (m *Membership) Leave(ctx context.Context) error {
	defer func() { _ = m.Close() }() // it never has an error
	if err := m.outbox.await(ctx); err != nil {
		return err
	}
	m.outbox.close() // so that nothing comes behind what is said here
	if err := m.outbox.drain(ctx); err != nil {
		return err
	}
	if err := m.tellMissing(ctx); err != nil {
		return err // the others find that this hub has vanished, and tell a gap
	}
	return m.send(ctx, "", notice{Kind: noticeGone})
}

// Close ends the membership at once and never waits: what waits for the bus is lost, of
// which the other hubs tell a gap. It returns nil.
func (m *Membership) Close() error {
	m.mu.Lock()
	first, undo := !m.left, m.undo
	m.left, m.undo = true, nil
	clear(m.others) // it is not one of them any more, and hears nothing of them
	m.mu.Unlock()
	if !first {
		return nil
	}
	if n := m.outbox.close(); n > 0 {
		m.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDiscarded, Count: n, Err: eventtarget.ErrClosed})
	}
	m.cancel()
	for _, undo := range undo {
		undo()
	}
	m.hub.joined.CompareAndSwap(m, nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.regs {
		m.bus.Remove(r)
		delete(m.regs, key)
	}
	return nil
}
