package hub

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"strings"

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
)

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
