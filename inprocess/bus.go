package inprocess

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Bus joins any number of members in one process: what one dispatches, all hear.
// It carries payloads as a wire would. The zero Bus is ready to use.
type Bus struct {
	mu      sync.Mutex
	members []*Member // replaced, never changed in place
}

// MemberOptions configures a [Member]. The zero value is ready to use.
type MemberOptions struct {
	// Limits bounds a message that the member dispatches. A negative one is its default.
	Limits eventtarget.Limits
	// NoEcho keeps the member from hearing its own dispatches.
	NoEcho bool
	// OnFault hears the member's faults; nil logs them.
	OnFault func(eventtarget.Fault)
}

// Member is one endpoint of a [Bus], an [eventtarget.Endpoint] with listeners and a
// life of its own.
type Member struct {
	endpoint[eventtarget.Raw]
	bus  *Bus
	opts MemberOptions
}

// Join adds a member to the bus; nil options are the defaults.
func (b *Bus) Join(opts *MemberOptions) *Member {
	m := &Member{bus: b}
	if opts != nil {
		m.opts = *opts
	}
	m.opts.Limits = m.opts.Limits.WithDefaults()
	m.init(m.opts.OnFault)
	b.mu.Lock()
	b.members = append(slices.Clip(b.members), m)
	b.mu.Unlock()
	return m
}

// Len returns how many members there are.
func (b *Bus) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.members)
}

func (b *Bus) leave(m *Member) {
	b.mu.Lock()
	b.members = slices.DeleteFunc(slices.Clone(b.members), func(o *Member) bool { return o == m })
	b.mu.Unlock()
}

// Dispatch brings e to every member. What a listener that asked for Block could
// not take is an error; the others have heard it.
func (m *Member) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	m.bus.mu.Lock()
	members := m.bus.members
	m.bus.mu.Unlock()
	// Closed is asked last: a member that is not among them any more says so.
	if err := m.registry.CheckDispatch(ctx, e.Topic()); err != nil {
		return err
	}
	if err := wire.Check(&e, m.opts.Limits); err != nil {
		return fail("dispatch", e.Topic(), err)
	}
	var failed error
	for _, to := range members {
		if to == m && m.opts.NoEcho {
			continue
		}
		err := to.registry.Deliver(ctx, wire.Clone(&e))
		if errors.Is(err, eventtarget.ErrClosed) && to != m {
			continue // one that was closed meanwhile is no member
		}
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// Close leaves the bus; see [eventtarget.Endpoint].
func (m *Member) Close() error {
	m.bus.leave(m)
	return m.endpoint.Close()
}

// Shutdown leaves the bus once listeners have finished; see
// [eventtarget.Endpoint].
func (m *Member) Shutdown(ctx context.Context) error {
	err := m.endpoint.Shutdown(ctx)
	if m.registry.Closed() { // otherwise it was asked for inside a listener
		m.bus.leave(m)
	}
	return err
}
