package hub

import (
	"context"
	"crypto/rand"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// Hub is an [eventtarget.Endpoint] that talks to every spoke. All methods may be
// called from any goroutine and from inside a listener.
//
// Owns: Options.Sweepers goroutines that write, one for heartbeats, one reader for
// each spoke, two while a listener holds it up, none while an [Idler] waits, one writer for each spoke whose connection is
// full at the moment, with a store one for each spoke of which that has something to keep, and
// its registry's workers.
type Hub struct {
	opts      Options
	registry  *eventtarget.Registry[eventtarget.Raw]
	log       *framelog.Log
	pace      pace
	shards    []*shard
	stats     counters
	late      atomic.Uint64 // events of plain spokes that came too late to be relayed
	discarded atomic.Bool   // Close has ended a spoke before it had everything
	bounds    bounds        // of the spokes' inboxes

	epoch    string   // names this log among others
	journal  *journal // nil without a store
	interest interest // inside the log's Update
	retained retained // the same
	wants    wants
	bridged  *bridged                   // nil: it is not
	joined   atomic.Pointer[Membership] // nil: it is not

	ctx    context.Context // ends with the hub
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	done   chan struct{}

	mu         sync.Mutex
	spokes     map[string]*Spoke
	sessions   map[string]*Spoke   // by the session's id
	arrivals   map[string]*arrival // likewise
	identities map[string][]*Spoke // never empty
	groups     map[string]spokeSet // never empty
	addrs      map[string]int      // how many spokes: see addrKey
	accepting  bool
	closed     bool
	left       chan struct{} // closed and replaced when a spoke leaves
	next       int           // shard of the next spoke
}

type counters struct {
	ignored, malformed, refused atomic.Uint64
}

// New returns a hub without spokes. The error says what is wrong with the options.
func New(opts Options) (*Hub, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: opts.Adapter, Err: err}
	}
	h := &Hub{
		opts:       opts,
		log:        framelog.New(opts.Framing, opts.LogBytes, opts.LogEvents),
		spokes:     make(map[string]*Spoke),
		sessions:   make(map[string]*Spoke),
		arrivals:   make(map[string]*arrival),
		identities: make(map[string][]*Spoke),
		groups:     make(map[string]spokeSet),
		addrs:      make(map[string]int),
		accepting:  true,
		epoch:      newID()[:10],
		left:       make(chan struct{}),
		done:       make(chan struct{}),
	}
	h.registry = eventtarget.NewRegistry[eventtarget.Raw](eventtarget.RegistryOptions{
		Adapter: opts.Adapter, OnFault: opts.OnFault,
	})
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	h.pace.init(h)
	h.bounds = bounds{bytes: opts.SpokeBytes, count: opts.SpokeEvents, all: budget{most: int64(opts.InboxBytes)}}
	h.retained.hub = h
	if opts.Bridged {
		h.bridged = newBridged(opts)
	}
	if opts.Store != nil {
		if h.journal, err = newJournal(h); err != nil {
			h.cancel(err)
			h.registry.Close()
			return nil, h.fail("open", eventtarget.Topic{}, err)
		}
	}
	for range opts.Sweepers {
		s := newShard(h)
		h.shards = append(h.shards, s)
		h.wg.Go(s.loop)
	}
	if err := h.journal.begin(); err != nil {
		_ = h.Close()
		go h.reap()
		return nil, h.fail("open", eventtarget.Topic{}, err)
	}
	if opts.Heartbeat > 0 {
		h.wg.Go(h.heartbeats)
	}
	go h.reap()
	return h, nil
}

// own runs fn in a goroutine that Done waits for. It is false when the hub is closed.
func (h *Hub) own(fn func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.wg.Go(fn)
	return true
}

// reap closes done when everything that the hub owned has ended.
func (h *Hub) reap() {
	<-h.ctx.Done()
	h.wg.Wait()
	h.tellDiscarded(h.late.Swap(0)) // what came while it closed
	<-h.registry.Done()
	close(h.done)
}

// Add makes l hear what any spoke dispatches on topic. If the hub is joined with others
// it waits, bounded by ctx, until the bus has confirmed that it brings the topic.
func (h *Hub) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	key := keyOf(topic)
	if handle := l.Handle; l.Once && handle != nil { // it ends without a Remove
		l.Handle = func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
			h.wants.add(key, -1)
			handle(ctx, e)
		}
	}
	r, err := h.registry.Add(ctx, topic, l)
	if err != nil {
		return nil, err
	}
	h.wants.add(key, 1)
	if m := h.joined.Load(); m != nil && !h.sharesLog() {
		if err := m.await(ctx, key); err != nil {
			h.Remove(r)
			return nil, h.fail("add", topic, err)
		}
	}
	return r, nil
}

// Remove ends a registration; see [eventtarget.TypedEventTarget].
func (h *Hub) Remove(r *eventtarget.Registration) bool {
	removed := h.registry.Remove(r)
	if removed {
		h.wants.add(keyOf(r.Topic()), -1)
	}
	return removed
}

// Limits returns what bounds a message.
func (h *Hub) Limits() eventtarget.Limits { return h.opts.Limits }

// Position returns where the log's head is now, for [Meta].
func (h *Hub) Position() Position { return Position{at: h.log.Head(), valid: true} }

// Spoke returns the spoke with an id.
func (h *Hub) Spoke(id string) (*Spoke, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.spokes[id]
	return s, ok
}

// Spokes yields the spokes that are there when the loop begins, in no order.
func (h *Hub) Spokes() iter.Seq[*Spoke] {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.spokes))
	h.mu.Unlock()
	return slices.Values(all)
}

// Len returns how many spokes there are.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.spokes)
}

// ReportFault hands f to the OnFault hook.
func (h *Hub) ReportFault(f eventtarget.Fault) { h.registry.ReportFault(f) }

func (h *Hub) fail(op string, topic eventtarget.Topic, err error) error {
	return &eventtarget.Error{Op: op, Adapter: h.opts.Adapter, Topic: topic, Err: err}
}

// newID returns 128 random bits in text.
func newID() string { return rand.Text() }
