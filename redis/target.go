package redis

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Target is a member of a bus on a Redis server, and an [eventtarget.Endpoint]. All
// methods may be called from any goroutine and from inside a listener.
//
// Owns: one goroutine that connects and subscribes, one that delivers, one that
// publishes while there is something to publish, its registry's workers, and two
// connections with what rueidis runs for them. On a cluster it has those that subscribe
// and publish for each shard.
type Target struct {
	opts      Options
	nodes     *nodes
	names     namespace
	origin    string
	registry  *eventtarget.Registry[eventtarget.Raw]
	member    *member // of a group; nil: it hears everything
	sink      sink    // that takes the log's entries; nil: listeners do
	parts     []*part // one, but for shards on a cluster
	inbox     *inbox
	progress  progress      // in the log
	added     chan struct{} // has a token when a listener was added on a durable bus
	malformed atomic.Uint64
	ignored   atomic.Uint64

	ctx       context.Context // ends with the target
	cancel    context.CancelCauseFunc
	receiving context.Context // ends when Shutdown begins to drain
	hush      context.CancelFunc
	wg        sync.WaitGroup
	delivered chan struct{} // closed when the delivering goroutine has ended
	done      chan struct{}
	gate      *gate // that Dispatch goes through, shut by Shutdown

	mu      sync.Mutex
	state   eventtarget.State
	changed chan struct{} // closed and replaced when state or cause changes
	cause   error         // why there is no connection, or why the target was closed
}

// New returns a target on the server at rawURL, redis://USER:PASSWORD@HOST:PORT or,
// over TLS, rediss://, or on the cluster that one at redis+cluster://… or
// rediss+cluster://… belongs to; nil options are the defaults. It connects by itself, and again
// whenever the connection is lost: wait for Ready where that matters. The error says
// what is wrong with the URL or the options.
func New(rawURL string, opts *Options) (*Target, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	return open(rawURL, o, "", nil)
}

// open is New, for the bus of the name behind the prefix, whose log goes to a sink if there
// is one.
func open(rawURL string, o Options, name string, to sink) (*Target, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fail("open", eventtarget.Topic{}, err)
	}
	names, err := newNamespace(o.Prefix + name)
	if err != nil {
		return nil, fail("open", eventtarget.Topic{}, err)
	}
	nodes, err := o.nodes(rawURL)
	if err != nil {
		return nil, fail("open", eventtarget.Topic{}, err)
	}
	t := &Target{
		opts: o, nodes: nodes, names: names, origin: newOrigin(), sink: to,
		registry:  eventtarget.NewRegistry[eventtarget.Raw](eventtarget.RegistryOptions{Adapter: adapter, OnFault: o.OnFault}),
		inbox:     newInbox(o.InboxEvents, o.InboxBytes),
		gate:      newGate(),
		added:     make(chan struct{}, 1),
		delivered: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
	}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.receiving, t.hush = context.WithCancel(t.ctx)
	t.nodes.option.DialCtxFn = o.dialer(t.ctx)
	if nodes.fixed {
		t.parts = []*part{newPart(t, "")}
	} else {
		for i := range o.Shards {
			t.parts = append(t.parts, newPart(t, names.shardChannel(i)))
		}
	}
	for _, p := range t.parts {
		t.wg.Go(p.run)
	}
	t.wg.Go(t.deliver)
	go t.reap()
	return t, nil
}

// Add makes l hear the events on topic. It returns once Redis has confirmed that
// they are sent here; while there is no connection it waits for one. ctx bounds the
// wait. The error is [eventtarget.ErrForbidden] when Redis does not allow it.
func (t *Target) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	if ctx.Err() != nil || topic.CheckSelector() != nil {
		return t.registry.Add(ctx, topic, l) // which says what is wrong
	}
	if t.gate.isShut() {
		return nil, fail("add", topic, eventtarget.ErrClosed)
	}
	if t.opts.Durable { // the whole log is read, as long as there is a connection
		if err := t.Ready(ctx); err != nil {
			return nil, fail("add", topic, err)
		}
		if t.member == nil {
			defer token(t.added)
			return t.registry.Add(ctx, topic, l)
		}
		defer token(t.member.wake)
		return t.registry.Add(ctx, topic, t.member.inGroup(l))
	}
	if err := t.want(ctx, topic); err != nil {
		return nil, fail("add", topic, err)
	}
	if handle := l.Handle; l.Once && handle != nil {
		l.Handle = func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
			defer t.unwant(topic)
			handle(ctx, e)
		}
	}
	r, err := t.registry.Add(ctx, topic, l)
	if err != nil {
		t.unwant(topic)
	}
	return r, err
}

// Remove ends a registration and never waits; see [eventtarget.TypedEventTarget].
// Behind the last one on a type, Redis is told that its events are not wanted any
// more.
func (t *Target) Remove(r *eventtarget.Registration) bool {
	if t.member != nil {
		t.member.removing.Add(1)
		defer t.member.removed.Add(1)
	}
	if !t.registry.Remove(r) {
		return false
	}
	t.unwant(r.Topic())
	return true
}

// Malformed returns how many messages arrived on the bus's channels that are no
// envelope of an event of that channel's type. Each was told as a fault, too.
func (t *Target) Malformed() uint64 { return t.malformed.Load() }

// Ignored returns how many control messages arrived, none of which it knows.
func (t *Target) Ignored() uint64 { return t.ignored.Load() }

// Dropped returns how many events have arrived and found the inbox full. They were
// told as gaps, too.
func (t *Target) Dropped() uint64 {
	t.inbox.mu.Lock()
	defer t.inbox.mu.Unlock()
	return t.inbox.dropped
}

// ReportFault hands f to the OnFault hook.
func (t *Target) ReportFault(f eventtarget.Fault) { t.registry.ReportFault(f) }

// Observe has fn called for each fault, beside the OnFault hook, until stop is called:
// see [eventtarget.FaultSource].
func (t *Target) Observe(fn func(eventtarget.Fault)) (stop func()) { return t.registry.Observe(fn) }

func fail(op string, topic eventtarget.Topic, err error) error {
	return &eventtarget.Error{Op: op, Adapter: adapter, Topic: topic, Err: err}
}
