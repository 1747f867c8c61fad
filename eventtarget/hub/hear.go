package hub

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// hear takes in what the bus brings of one type.
func (m *Membership) hear(e eventtarget.Event[eventtarget.Raw]) {
	m.inside.Add(1)
	defer m.inside.Add(-1)
	if strings.HasPrefix(e.Type, ownType) {
		m.hearAddressed(e)
		return
	}
	from, kind, _ := strings.Cut(e.Headers[busHeader], ".")
	if from == m.id {
		return
	}
	if from != "" { // the bus may have other listeners, whose headers these are, too
		var rest map[string]string
		if len(e.Headers) > 1 {
			rest = maps.Clone(e.Headers)
			delete(rest, busHeader)
		}
		e.Headers = rest
	}
	m.hub.hearFar(m, kind, e)
}

// hearOthers takes in what the registration for everything brings: the types that have
// none of their own.
func (m *Membership) hearOthers(e eventtarget.Event[eventtarget.Raw]) {
	m.mu.Lock()
	_, own := m.regs[e.Type]
	m.mu.Unlock()
	if !own && e.Type != ownType {
		m.hear(e)
	}
}

// hearFar brings an event from another hub, or of somebody else who is on the bus, to
// the spokes and listeners here, as if it had been dispatched here.
func (h *Hub) hearFar(m *Membership, kind string, e eventtarget.Event[eventtarget.Raw]) {
	topic := e.Topic()
	err := wire.Check(&e, h.opts.Limits)
	if err == nil {
		err = h.bring(m.ctx, kind, e)
	}
	if err != nil && m.ctx.Err() == nil && !errors.Is(err, errRepeat) {
		h.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDispatch, Topic: topic, Count: 1, Err: err})
	}
}

// bring is hearFar for an event that was checked.
func (h *Hub) bring(ctx context.Context, kind string, e eventtarget.Event[eventtarget.Raw]) error {
	p, err := h.bridged.enter(ctx, &e)
	if err != nil {
		return err
	}
	defer p.leave()
	if kind != fromSpoke || h.opts.Relay {
		msg := envelope(&e)
		defer wire.PutBuffer(msg)
		err = h.publish(ctx, e.Topic(), *msg, nil, nil, Record{})
	}
	p.accepted(err)
	if err == nil && (kind != fromHub || h.opts.Echo || p.far) {
		_ = h.registry.Deliver(ctx, e) // ErrClosed: nobody is there to hear it
	}
	return err
}

// hearAddressed takes in what is for a group, or an identity.
func (m *Membership) hearAddressed(e eventtarget.Event[eventtarget.Raw]) {
	var p addressed
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		m.malformed(e, err)
		return
	}
	if p.Hub == m.id || p.key() != e.Type {
		return
	}
	to := m.hub.Group(p.Group).Audience
	if p.Identity != "" {
		to = m.hub.Identity(p.Identity)
	}
	if p.Close != nil {
		to.disconnect(*p.Close)
		return
	}
	d, err := m.hub.decode(p.Event)
	if err == nil {
		err = to.deliver(m.ctx, eventtarget.Topic{Type: d.Type, ID: d.ID}, p.Event)
	}
	if err != nil && m.ctx.Err() == nil {
		m.malformed(e, err)
	}
}

// decode decodes the envelope of an event that somebody else may have made up.
func (h *Hub) decode(msg []byte) (wire.Message, error) {
	m, err := wire.Decode(msg, h.opts.Limits)
	if err == nil && m.Control() {
		err = fmt.Errorf("%w: %s", eventtarget.ErrInvalidTopic, m.Type)
	}
	return m, err
}

func (m *Membership) malformed(e eventtarget.Event[eventtarget.Raw], err error) {
	m.hub.stats.malformed.Add(1)
	m.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Topic: e.Topic(), Count: 1, Err: err})
}

// busFault hears what the bus tells of itself. If the hubs share a log no event comes over
// the bus, and none is missing.
func (m *Membership) busFault(f eventtarget.Fault) {
	switch f.Kind {
	case eventtarget.FaultGap:
		if !m.hub.sharesLog() {
			m.hub.tellGap(f.Count, f.Err)
		}
	case eventtarget.FaultDisconnected, eventtarget.FaultReconnected:
		if f.Peer == "" { // the bus itself
			m.cut.Store(f.Kind == eventtarget.FaultDisconnected)
		}
	}
}

// tellGap tells the spokes that want any of some types, or are addressed by one, that so
// many events are missing, or an unknown number, and the hub's owner why. No type is any.
func (h *Hub) tellGap(count uint64, why error, types ...string) {
	spokes := h.Spokes()
	h.log.Update(func(u framelog.Update) {
		for s := range spokes {
			if s.wantsAny(types) || s.isAddressed(types) {
				s.post(item{at: s.placeFor(u.Head()), msg: s.gapMessage(count)})
			}
		}
	})
	h.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: count, Err: why})
}

// wantsAny tells whether the spoke hears any of some types; of none: anything at all.
// Inside the log's Update.
func (s *Spoke) wantsAny(types []string) bool {
	if s.everything || len(types) == 0 && len(s.topics) > 0 {
		return true
	}
	for t := range s.topics {
		for _, eventType := range types {
			if t.Type == eventType || t == everything || eventType == allTypes {
				return true
			}
		}
	}
	return false
}

// isAddressed tells whether events of any of some types, or of none: any at all, may be for
// an audience that the spoke is in, whatever it hears.
func (s *Spoke) isAddressed(types []string) bool {
	if len(types) == 0 {
		return s.identity != "" || len(s.Groups()) > 0
	}
	if !slices.ContainsFunc(types, func(t string) bool { return strings.HasPrefix(t, toType) }) {
		return false
	}
	if id := s.identity; id != "" && slices.Contains(types, address{Identity: id}.key()) {
		return true
	}
	return slices.ContainsFunc(s.Groups(), func(g string) bool { return slices.Contains(types, address{Group: g}.key()) })
}

// digest is a text of 26 letters and digits that stands for another.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16])
}
