package hub

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Audience is some of a hub's spokes, chosen anew by each Dispatch. All methods may
// be called from any goroutine and from inside a listener.
type Audience struct {
	hub    *Hub
	choose func() []*Spoke
	far    address // zero: there are none at other hubs
}

// Identity is the spokes that proved to be id. An empty id is nobody's.
func (h *Hub) Identity(id string) Audience {
	return Audience{h, func() []*Spoke {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Clone(h.identities[id])
	}, address{Identity: id}}
}

// Where is the spokes for which keep is true. It is called for each spoke by each
// Dispatch, and must be quick. It may ask the spoke and the hub anything.
func (h *Hub) Where(keep func(s *Spoke) bool) Audience {
	return Audience{h, func() []*Spoke {
		return slices.DeleteFunc(slices.Collect(h.Spokes()), func(s *Spoke) bool { return !keep(s) })
	}, address{}}
}

// DispatchExcept is Dispatch for all spokes but some. A nil among them is nobody: the Source of
// an event may be no spoke.
func (h *Hub) DispatchExcept(ctx context.Context, e eventtarget.Event[eventtarget.Raw], except ...*Spoke) error {
	if slices.Contains(except, nil) {
		except = slices.DeleteFunc(slices.Clone(except), func(s *Spoke) bool { return s == nil })
	}
	return h.dispatch(ctx, e, except)
}

// Spokes yields those who are in the audience now, in no order.
func (a Audience) Spokes() iter.Seq[*Spoke] { return slices.Values(a.choose()) }

// Len returns how many they are.
func (a Audience) Len() int { return len(a.choose()) }

// Dispatch accepts e for everyone in the audience, whatever they subscribed to: who
// is addressed need not have asked. It stands in one order with everything else that
// is dispatched to them. An empty audience is no error. See [Hub.Dispatch] for what
// it waits for.
func (a Audience) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	msg, err := a.hub.encode(ctx, &e)
	if err != nil {
		return err
	}
	defer wire.PutBuffer(msg)
	m := a.hub.joined.Load()
	defer m.came(m.comes())
	if a.isKept() {
		err = a.hub.journal.keep(ctx, entry{record: a.record(*msg)})
	} else {
		err = a.deliver(ctx, e.Topic(), *msg)
	}
	if err != nil {
		return a.hub.fail("dispatch", e.Topic(), err)
	}
	a.hub.forwardTo(ctx, a.far, addressed{Event: *msg})
	return nil
}

// isKept tells whether what is dispatched to the audience stands in a log that hubs share.
func (a Audience) isKept() bool {
	return a.hub.journal != nil && a.hub.journal.shared != nil && a.far != (address{})
}

func (a Audience) record(msg []byte) Record {
	return Record{Kind: RecordAddressed, Own: true, Group: a.far.Group, Identity: a.far.Identity, Message: bytes.Clone(msg)}
}

// deliver brings a message to those of the audience who are here.
func (a Audience) deliver(ctx context.Context, topic eventtarget.Topic, msg []byte) error {
	a.hub.journal.passes(a.far) // before who comes back could be of it, and not chosen
	to := a.choose()            // before the Update, for Where's function may ask the hub
	if a.hub.journal != nil && !a.isKept() {
		if err := a.hub.sendsOwn(ctx, to...); err != nil {
			return err
		}
	}
	m := a.hub.message(topic, msg)
	m.own = true
	var crowd []*Spoke
	sealed := false
	a.hub.log.Update(func(u framelog.Update) {
		if sealed = u.Sealed(); sealed {
			return
		}
		for _, s := range to {
			if s.post(item{at: u.Head(), msg: m}) {
				crowd = append(crowd, s)
			}
		}
	})
	if sealed {
		return eventtarget.ErrClosed
	}
	a.hub.ease(ctx, crowd)
	return nil
}

// Disconnect is [Spoke.Disconnect] for everyone in the audience.
func (a Audience) Disconnect(reason eventtarget.Reason) {
	if a.isKept() {
		r := a.record(nil)
		r.Close = &reason
		a.hub.journal.note(r)
		return
	}
	a.disconnect(reason)
	a.hub.forwardTo(a.hub.ctx, a.far, addressed{Close: &reason})
}

// disconnect is Disconnect for those who are here.
func (a Audience) disconnect(reason eventtarget.Reason) {
	for _, s := range a.choose() {
		s.Disconnect(reason)
	}
}

// Group is a named audience that spokes join and leave. It exists as long as it has
// members; the value may be kept.
type Group struct {
	Audience
	name string
}

// Group returns the group of a name.
func (h *Hub) Group(name string) Group {
	return Group{Audience{h, func() []*Spoke {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Collect(maps.Keys(h.groups[name]))
	}, address{Group: name}}, name}
}

// Name returns the group's name.
func (g Group) Name() string { return g.name }

// Groups returns the groups that have members, with how many.
func (h *Hub) Groups() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := make(map[string]int, len(h.groups))
	for name, members := range h.groups {
		counts[name] = len(members)
	}
	return counts
}

// Join makes the spoke a member of a group: what is dispatched to that from now on
// reaches it. It is false for one that is a member, or has left the hub, and for the empty
// name, which is no group's.
func (s *Spoke) Join(group string) bool {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, member := s.groups[group]; member || group == "" || h.spokes[s.id] != s {
		return false
	}
	if s.groups == nil {
		s.groups = make(map[string]struct{})
	}
	s.groups[group] = struct{}{}
	if h.groups[group] == nil {
		h.groups[group] = make(spokeSet)
		h.wants.add(address{Group: group}.key(), 1)
	}
	h.groups[group][s] = struct{}{}
	return true
}

// Leave ends the membership. It is false for one that is no member. A spoke that
// leaves the hub leaves its groups, before OnDisconnect.
func (s *Spoke) Leave(group string) bool {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	_, member := s.groups[group]
	s.leaveGroup(group)
	return member
}

// Groups returns the names of the spoke's groups, sorted.
func (s *Spoke) Groups() []string {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return slices.Sorted(maps.Keys(s.groups))
}

// leaveGroup takes s out of a group, which vanishes with its last member. Under
// hub.mu.
func (s *Spoke) leaveGroup(group string) {
	delete(s.groups, group)
	members := s.hub.groups[group]
	delete(members, s)
	if members != nil && len(members) == 0 {
		delete(s.hub.groups, group)
		s.hub.wants.add(address{Group: group}.key(), -1)
	}
}
