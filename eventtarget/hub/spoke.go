package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Spoke is one peer of a [Hub], and a target of its own: what is dispatched
// to it reaches that peer alone, and a listener on it hears that peer alone. It
// is an [eventtarget.Peer] and the source of what the peer sends. A spoke that is
// gone stays inert: Dispatch returns [eventtarget.ErrGone], Add [eventtarget.ErrClosed].
type Spoke struct {
	// Writing: one goroutine at a time, the shard's sweeper unless parked. With many spokes
	// a sweep costs little but cache misses, so what it looks at for each stands together.
	at         framelog.Position        // everything in the log before it was written
	out        *attachment              // that is written to
	session    *session                 // nil: it ends with its connection
	incoming   atomic.Pointer[incoming] // that is to be written to from now on
	taken      []*message               // taken out of the inbox, not yet written
	parked     atomic.Bool
	waited     atomic.Bool   // it is among those that Dispatch waits for
	following  atomic.Bool   // it writes what stands in the log
	ending     atomic.Bool   // set under mu
	written    atomic.Uint64 // at.Offset, for others to read
	writtenSeq atomic.Uint64 // at.Seq
	sent       atomic.Uint64
	inbox      inbox
	inFlight   atomic.Int64 // how many are taken

	hub    *Hub
	shard  *shard
	ctx    context.Context // ends with the spoke
	cancel context.CancelCauseFunc

	// See Meta.
	id, identity, transport, addr, path string
	headers                             map[string]string

	registry atomic.Pointer[eventtarget.Registry[eventtarget.Raw]] // made by the first Add

	// Under shard.mu.
	place   int32 // in shard.followers; -1: not there
	swept   bool  // the sweeper visits it
	follows bool  // whenever something is appended
	dirty   bool  // in shard.dirty

	// Under hub.mu.
	movedAway bool // its session has gone on at another hub: its end is not the session's
	groups    map[string]struct{}

	// Interest, inside the log's Update.
	topics     map[eventtarget.Topic]struct{} // that it subscribed to; nil: it never did
	left       *returning                     // what another process has left of it
	resumes    bool                           // see Meta
	replays    bool                           // its first topics begin in the past: see replayFirst. Inside the log's Update
	everything bool                           // it gets all that is dispatched to all

	unanswered atomic.Int32 // requests that wait for the bus: see answerLate

	since     int64        // Unix nanoseconds, as lastHeard
	lastHeard atomic.Int64 // 0: never
	received  atomic.Uint64
	throttle  *throttle // nil: it may send as fast as it can
	uplink    *uplink   // nil without a store
	gaps      atomic.Uint32
	resumed   atomic.Uint32
	revoked   atomic.Uint32 // calls of Revoke
	receiving sync.Mutex    // held while a message is handled

	mu      sync.Mutex
	known   bool        // to the hub's owner: OnConnect has returned
	ready   bool        // it is known what of the log it hears
	begun   bool        // it is settled what it hears
	gone    bool        // OnDisconnect has returned
	done    bool        // it has left
	att     *attachment // nil while the spoke is down
	values  map[any]any
	granted map[any]any         // those of them that the connection came with
	expires int64               // Unix milliseconds; 0: never
	keep    func()              // calls that off; nil: there is nothing to
	late    []*step             // that come behind what was dispatched before it had begun
	reason  *eventtarget.Reason // why it ends; nil while it does not
	release chan struct{}       // closed when done; nil: nobody has asked
}

// ID names the spoke among those of its hub.
func (s *Spoke) ID() string { return s.id }

// Identity is who the peer proved to be, or empty.
func (s *Spoke) Identity() string { return s.identity }

// Transport is what its connection is made of, such as "websocket", or empty.
func (s *Spoke) Transport() string { return s.transport }

// Addr is the peer's network address, as far as known.
func (s *Spoke) Addr() string { return s.addr }

// Path is the path of the request that the connection began with, or empty.
func (s *Spoke) Path() string { return s.path }

// Header returns a header of that request, if the adapter was told to keep it. Its name is
// compared as HTTP does, without regard to case.
func (s *Spoke) Header(name string) string {
	if value, found := s.headers[name]; found {
		return value
	}
	for kept, value := range s.headers {
		if strings.EqualFold(kept, name) {
			return value
		}
	}
	return ""
}

// Value returns what SetValue has put there, or nil.
func (s *Spoke) Value(key any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// SetValue keeps a value of the user's on the spoke.
func (s *Spoke) SetValue(key, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = make(map[any]any)
	}
	s.values[key] = value
}

// Done is closed when the spoke has left its hub and OnDisconnect has returned.
func (s *Spoke) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.release == nil {
		s.release = make(chan struct{})
		if s.done {
			close(s.release)
		}
	}
	return s.release
}

// Reason tells why the spoke left; ok is false while it has not.
func (s *Spoke) Reason() (reason eventtarget.Reason, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		return eventtarget.Reason{}, false
	}
	return *s.reason, true
}

// Add makes l hear what this spoke dispatches on topic.
func (s *Spoke) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	s.mu.Lock()
	r := s.registry.Load()
	if r == nil {
		r = eventtarget.NewRegistry[eventtarget.Raw](eventtarget.RegistryOptions{
			Adapter: s.hub.opts.Adapter, OnFault: s.hub.opts.OnFault,
		})
		if s.gone {
			r.Close()
		}
		s.registry.Store(r)
	}
	s.mu.Unlock()
	return r.Add(ctx, topic, l)
}

// ReportFault hands f to the hub's OnFault hook, as one of this peer's.
func (s *Spoke) ReportFault(f eventtarget.Fault) {
	if f.Peer == "" {
		f.Peer = s.id
	}
	s.hub.ReportFault(f)
}

// Remove ends a registration; see [eventtarget.TypedEventTarget].
func (s *Spoke) Remove(reg *eventtarget.Registration) bool {
	r := s.registry.Load()
	return r != nil && r.Remove(reg)
}

// Dispatch accepts e for this spoke alone, whatever it subscribed to. The error is
// [eventtarget.ErrGone] when the spoke has left and [eventtarget.ErrOverflow] when it
// is over its bounds, and was ended for it.
// With a Store, the first one for a session waits until that knows of it, bounded by ctx.
func (s *Spoke) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	msg, err := s.hub.encode(ctx, &e)
	if errors.Is(err, eventtarget.ErrClosed) && s.ending.Load() { // it has left, with its hub
		err = s.hub.fail("dispatch", e.Topic(), fmt.Errorf("%w: %w", eventtarget.ErrGone, eventtarget.ErrClosed))
	}
	if err != nil {
		return err
	}
	defer wire.PutBuffer(msg)
	if err := s.hub.sendsOwn(ctx, s); err != nil {
		return s.hub.fail("dispatch", e.Topic(), err)
	}
	m := s.hub.message(e.Topic(), *msg)
	m.own = true
	if err := s.put(ctx, m); err != nil {
		return s.hub.fail("dispatch", e.Topic(), err)
	}
	if s.hub.opts.Echo {
		if r := s.registry.Load(); r != nil {
			return r.Deliver(ctx, wire.Clone(&e))
		}
	}
	return nil
}

// put places a message for this spoke alone behind everything dispatched so far.
func (s *Spoke) put(ctx context.Context, m *message) error {
	if s.ending.Load() {
		return eventtarget.ErrGone
	}
	if s.inbox.wouldBlock() && eventtarget.CallerOf(ctx) == eventtarget.InlineListener {
		return eventtarget.ErrWouldBlock
	}
	var err error
	s.hub.log.Update(func(u framelog.Update) {
		err = s.inbox.put(item{at: s.placeFor(u.Head()), msg: m})
	})
	switch {
	case err == nil:
		s.shard.mark(s)
		if s.inbox.isCrowded() {
			s.hub.ease(ctx, []*Spoke{s})
		}
	case errors.Is(err, eventtarget.ErrOverflow):
		s.tooSlow()
	}
	return err
}

// tooSlow ends a spoke that is over its bounds.
func (s *Spoke) tooSlow() {
	s.end(eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "too much waits for it"})
}

// SetOverflow gives the spoke another policy than the hub's: Disconnect, DropOldest or
// Conflate. It is to be called in OnConnect; later calls, and other policies, are an
// error.
func (s *Spoke) SetOverflow(o eventtarget.Overflow) error {
	switch {
	case s.isKnown():
		return s.hub.fail("set overflow", eventtarget.Topic{}, errors.New("OnConnect has returned"))
	case o != eventtarget.Disconnect && o != eventtarget.DropOldest && o != eventtarget.Conflate:
		return s.hub.fail("set overflow", eventtarget.Topic{}, fmt.Errorf("a spoke cannot have Overflow %v", o))
	}
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	s.inbox.policy = o
	return nil
}

// isKnown tells whether OnConnect has returned.
func (s *Spoke) isKnown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// isReady tells whether anybody knows what of the log the spoke will hear.
func (s *Spoke) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// placeFor returns the place of an item that is dispatched now: the head, and
// before everything as long as OnConnect runs.
func (s *Spoke) placeFor(head framelog.Position) framelog.Position {
	if !s.isKnown() {
		return s.at
	}
	return head
}

// behind puts a step behind everything dispatched so far. A spoke that has not begun
// does not hear that yet: its step waits until it has. The error is
// [eventtarget.ErrGone].
func (s *Spoke) behind(u framelog.Update, d *step) error {
	s.mu.Lock()
	wait, gone := !s.begun, s.ending.Load()
	if wait && !gone {
		s.late = append(s.late, d)
	}
	s.mu.Unlock()
	switch {
	case gone:
		return eventtarget.ErrGone
	case wait:
		return nil
	default:
		return s.inbox.put(item{at: u.Head(), do: d})
	}
}

// settled does what has waited until the spoke has begun. What comes behind a close
// stays, until the spoke leaves.
func (s *Spoke) settled(u framelog.Update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
	s.late = slices.DeleteFunc(s.late, func(d *step) bool {
		return s.inbox.put(item{at: u.Head(), do: d}) == nil
	})
}
