package hub

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Spoke is one connection of a [Hub], and a target of its own: what is dispatched
// to it reaches that peer alone, and a listener on it hears that peer alone. It
// is an [eventtarget.Peer] and the source of what the peer sends. A spoke that is
// gone stays inert: Dispatch returns [eventtarget.ErrGone], Add [eventtarget.ErrClosed].
type Spoke struct {
	hub    *Hub
	conn   link.Conn
	frames FrameWriter // conn, if it is one
	pinger link.Pinger // conn, if it is one
	shard  *shard
	meta   Meta
	ctx    context.Context // ends with the spoke
	cancel context.CancelCauseFunc

	registry atomic.Pointer[eventtarget.Registry[eventtarget.Raw]] // made by the first Add

	// Writing: one goroutine at a time, the shard's sweeper unless parked.
	parked     atomic.Bool
	at         framelog.Position // everything before it was written
	written    atomic.Uint64     // at.Offset, for others to read
	writtenSeq atomic.Uint64     // at.Seq
	place      int               // in shard.spokes; under shard.mu
	dirty      bool              // in shard.dirty; under shard.mu

	inbox inbox

	// Heartbeats: the heartbeat goroutine's.
	heard  uint64
	misses int

	mu      sync.Mutex
	values  map[any]any
	ready   bool // OnConnect has returned
	ending  bool
	gone    bool // OnDisconnect has returned
	reason  eventtarget.Reason
	release chan struct{} // closed when gone
}

// ID names the spoke among those of its hub.
func (s *Spoke) ID() string { return s.meta.ID }

// Identity is who the peer proved to be, or empty.
func (s *Spoke) Identity() string { return s.meta.Identity }

// Addr is the peer's network address, as far as known.
func (s *Spoke) Addr() string { return s.meta.Addr }

// Path is the path of the request that the connection began with, or empty.
func (s *Spoke) Path() string { return s.meta.Path }

// Header returns a header of that request, if the adapter was told to keep it.
func (s *Spoke) Header(name string) string { return s.meta.Headers[name] }

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
func (s *Spoke) Done() <-chan struct{} { return s.release }

// Reason tells why the spoke left; ok is false while it has not.
func (s *Spoke) Reason() (reason eventtarget.Reason, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason, s.ending
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

// Remove ends a registration; see [eventtarget.TypedEventTarget].
func (s *Spoke) Remove(reg *eventtarget.Registration) bool {
	r := s.registry.Load()
	return r != nil && r.Remove(reg)
}

// Dispatch accepts e for this spoke alone. The error is [eventtarget.ErrGone] when
// the spoke has left.
func (s *Spoke) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	msg, err := s.hub.encode(ctx, &e)
	if err != nil {
		return err
	}
	defer wire.PutBuffer(msg)
	frame := s.hub.frame(*msg)
	if err := s.put(frame); err != nil {
		return s.hub.fail("dispatch", e.Topic(), err)
	}
	if s.hub.opts.Echo {
		if r := s.registry.Load(); r != nil {
			return r.Deliver(ctx, wire.Clone(&e))
		}
	}
	return nil
}

// frame returns a copy of msg with its header.
func (h *Hub) frame(msg []byte) frame {
	f := frame{bytes: make([]byte, 0, len(msg)+16)}
	if h.opts.Framing != nil {
		f.bytes = h.opts.Framing(f.bytes, len(msg))
		f.header = len(f.bytes)
	}
	f.bytes = append(f.bytes, msg...)
	return f
}

// put places a frame for this spoke alone behind everything dispatched so far.
func (s *Spoke) put(f frame) error {
	if s.isEnding() {
		return eventtarget.ErrGone
	}
	var err error
	s.hub.log.With(func(head framelog.Position) {
		err = s.inbox.put(item{at: s.placeFor(head), frame: f}, s.hub.opts.SpokeBytes, s.hub.opts.SpokeEvents)
	})
	switch err {
	case nil:
		s.shard.mark(s)
	case eventtarget.ErrOverflow:
		s.end(eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "too much waits for it"})
	}
	return err
}

// placeFor returns the place of an item that is dispatched now: the head, and
// before everything as long as OnConnect runs.
func (s *Spoke) placeFor(head framelog.Position) framelog.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return s.at
	}
	return head
}

// skip makes the spoke not get what it sent itself. Under the log's lock.
func (s *Spoke) skip(from, to framelog.Position) {
	s.inbox.skip(from, to)
}

func (s *Spoke) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}
