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
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Hub is an [eventtarget.Endpoint] that talks to every spoke. All methods may be
// called from any goroutine and from inside a listener.
//
// Owns: Options.Sweepers goroutines that write, one for heartbeats, one reader for
// each spoke, one writer for each spoke whose connection is full at the moment,
// and its registry's workers.
type Hub struct {
	opts     Options
	registry *eventtarget.Registry[eventtarget.Raw]
	log      *framelog.Log
	pace     pace
	shards   []*shard
	stats    counters
	late     atomic.Uint64 // events that came too late to be relayed

	ctx    context.Context // ends with the hub
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	done   chan struct{}

	mu        sync.Mutex
	spokes    map[string]*Spoke
	accepting bool
	closed    bool
	left      chan struct{} // closed and replaced when a spoke leaves
	next      int           // shard of the next spoke
}

type counters struct {
	ignored, malformed atomic.Uint64
}

// New returns a hub without spokes. The error says what is wrong with the options.
func New(opts Options) (*Hub, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: opts.Adapter, Err: err}
	}
	h := &Hub{
		opts:      opts,
		log:       framelog.New(opts.Framing, opts.LogBytes, opts.LogEvents),
		spokes:    make(map[string]*Spoke),
		accepting: true,
		left:      make(chan struct{}),
		done:      make(chan struct{}),
	}
	h.registry = eventtarget.NewRegistry[eventtarget.Raw](eventtarget.RegistryOptions{
		Adapter: opts.Adapter, OnFault: opts.OnFault,
	})
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	h.pace.init(h)
	for range opts.Sweepers {
		s := newShard(h)
		h.shards = append(h.shards, s)
		h.wg.Go(s.loop)
	}
	if opts.Heartbeat > 0 {
		h.wg.Go(h.heartbeats)
	}
	go h.reap()
	return h, nil
}

// reap closes done when everything that the hub owned has ended.
func (h *Hub) reap() {
	<-h.ctx.Done()
	h.wg.Wait()
	<-h.registry.Done()
	close(h.done)
}

// Add makes l hear what any spoke dispatches on topic.
func (h *Hub) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	return h.registry.Add(ctx, topic, l)
}

// Remove ends a registration; see [eventtarget.TypedEventTarget].
func (h *Hub) Remove(r *eventtarget.Registration) bool { return h.registry.Remove(r) }

// Dispatch accepts e for every spoke that is there. It waits for the spokes that
// are being written to, bounded by ctx, but for none that does not read.
func (h *Hub) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	msg, err := h.encode(ctx, &e)
	if err != nil {
		return err
	}
	defer wire.PutBuffer(msg)
	if err := h.pace.wait(ctx); err != nil {
		return h.fail("dispatch", e.Topic(), err)
	}
	if !h.log.Append(*msg) {
		return h.fail("dispatch", e.Topic(), eventtarget.ErrClosed)
	}
	h.wakeAll()
	if h.opts.Echo {
		return h.registry.Deliver(ctx, wire.Clone(&e))
	}
	return nil
}

// encode checks e and returns its message, in a buffer to be put back.
func (h *Hub) encode(ctx context.Context, e *eventtarget.Event[eventtarget.Raw]) (*[]byte, error) {
	if err := h.registry.CheckDispatch(ctx, e.Topic()); err != nil {
		return nil, err
	}
	if err := wire.Check(e, h.opts.Limits); err != nil {
		return nil, h.fail("dispatch", e.Topic(), err)
	}
	msg := wire.GetBuffer()
	*msg = wire.Append((*msg)[:0], e)
	return msg, nil
}

// relay passes a message from one spoke on to the others, as it stands.
func (h *Hub) relay(from *Spoke, msg []byte) {
	// The reader of that spoke waits for the others here, and so feels that
	// they are behind. The error says that the hub is closed.
	if h.pace.wait(h.ctx) != nil {
		return
	}
	if !h.log.AppendWith(msg, from.skip) {
		h.late.Add(1)
		return
	}
	h.wakeAll()
}

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

// Stats are counters since the hub began.
type Stats struct {
	// Ignored counts control messages that the hub does not know.
	Ignored uint64
	// Malformed counts messages that were no envelopes.
	Malformed uint64
}

// Stats returns the counters.
func (h *Hub) Stats() Stats {
	return Stats{Ignored: h.stats.ignored.Load(), Malformed: h.stats.malformed.Load()}
}

// ReportFault hands f to the OnFault hook.
func (h *Hub) ReportFault(f eventtarget.Fault) { h.registry.ReportFault(f) }

func (h *Hub) fail(op string, topic eventtarget.Topic, err error) error {
	return &eventtarget.Error{Op: op, Adapter: h.opts.Adapter, Topic: topic, Err: err}
}

// newID returns 128 random bits in text.
func newID() string { return rand.Text() }
