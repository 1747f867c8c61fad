package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// startReading has what the peer sends over one connection delivered until that ends.
func (s *Spoke) startReading(a *attachment) {
	if _, ok := a.conn.(Idler); ok {
		a.ready = func() { s.read(a) }
	}
	s.hub.wg.Add(1)
	go s.read(a)
}

// read delivers what the peer sends over one connection until that ends, until the
// goroutine that has relieved this one meanwhile reads on, or until there is nothing to read:
// then it is called again.
func (s *Spoke) read(a *attachment) {
	idle, returned := false, false
	defer func() {
		if !returned { // an Inline listener has ended this goroutine (runtime.Goexit)
			s.end(eventtarget.Reason{Code: eventtarget.CodeInternal})
			s.detach(a, eventtarget.Reason{Code: eventtarget.CodeInternal})
			a.relief.end()
		}
		if !idle {
			s.hub.wg.Done()
		}
	}()
	for reads := true; reads; {
		msg, err := a.receive()
		if errors.Is(err, ErrIdle) { // another goroutine may read already
			idle, returned = true, true
			return
		}
		r := received{msg, err}
		if a.relief.on.Load() && s.putOff(a, r) {
			reads = err == nil
			continue
		}
		turn := a.turn.Add(1)
		goes := s.handle(a, r)
		reads = goes && a.turn.CompareAndSwap(turn, turn+1)
		if !goes {
			a.relief.end()
		} else if !reads {
			s.makeUp(a)
		}
	}
	returned = true
}

// handle delivers what was read. It is false when that was the last.
func (s *Spoke) handle(a *attachment, r received) bool {
	if r.err != nil {
		s.detach(a, a.reason(r.err))
		return false
	}
	s.lastHeard.Store(time.Now().UnixNano())
	m, err := a.topics.Decode(r.msg, s.hub.opts.Limits)
	if a.topics == nil && err == nil && !m.Control() {
		a.topics = new(wire.Topics)
	}
	if err == nil && s.session != nil && m.Type == wire.Ack {
		err = s.receiveAck(m)
	} else if err == nil && s.throttle.wait(s.ctx) == nil {
		err = s.receive(a, m, r.msg)
	}
	if err != nil {
		s.uplink.settle() // what came before is heard
		s.hub.stats.malformed.Add(1)
		s.endIf(offence(err), func() bool { return s.att == a })
		s.detach(a, offence(err))
	}
	return err == nil
}

// receive handles one message, unless another connection has taken over.
func (s *Spoke) receive(a *attachment, m wire.Message, msg []byte) error {
	s.receiving.Lock()
	defer s.receiving.Unlock()
	s.mu.Lock()
	fenced, ending := s.att != a || a.expired.Load(), s.ending.Load()
	s.mu.Unlock()
	if fenced || ending {
		return nil // what comes after the end is for nobody; a session's peer sends it again
	}
	s.received.Add(1)
	counts := s.session != nil && wire.Counted(m.Type)
	if m.Control() {
		s.uplink.settle() // what was sent before comes first, also for who subscribes to it
		err := s.receiveControl(m)
		if counts {
			s.tookUnless(s.takeIn())
		}
		return err
	}
	if err := s.distribute(&m, msg); counts && !errors.Is(err, errLater) {
		s.tookUnless(err)
	}
	return nil
}

// tookUnless counts a message of the peer's, unless the hub is closed or its store does not
// work. What only the log has lost is told as a gap, and does not come again.
func (s *Spoke) tookUnless(err error) {
	if err == nil || errors.Is(err, errLogLost) {
		s.took()
	}
}

// distribute brings an event to the spoke's listeners, the hub's and, if the hub relays,
// the other spokes. The error says that it could not be kept, or is errLater.
func (s *Spoke) distribute(m *wire.Message, msg []byte) error {
	h := s.hub
	msg = s.unbridged(m, msg)
	e := eventtarget.Event[eventtarget.Raw]{
		Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: m.Headers, Source: s,
	}
	if h.opts.Authorize != nil && s.hasListeners() {
		s.uplink.settle() // what they have heard may decide
	}
	if !s.mayDispatch(e.Topic()) {
		return s.takeIn()
	}
	if s.keeps() && h.bridged == nil {
		return s.handLater(m, msg, e)
	}
	p, err := h.bridged.enter(h.ctx, &e)
	switch {
	case errors.Is(err, errRepeat):
		return s.takeIn() // it is taken in like any other
	case err != nil:
		return err
	case p.header != "":
		msg = wire.AddHeader(nil, msg, m, eventtarget.BridgeHeader, p.header)
		m.Headers = e.Headers
	}
	defer p.leave()
	var to handed
	kept := s.keeps()
	switch { // before listeners here can spoil the payload for others
	case kept:
		to, err = s.hand(m, msg)
	case h.opts.Relay:
		err = h.relay(s, m, msg)
	}
	if err == nil {
		h.forward(s.ctx, p.dispatcher(s.id), fromSpoke, &e)
	}
	p.accepted(err)
	switch {
	case errors.Is(err, errRepeat):
		return nil
	case p.byLog() && kept: // which brings it to the hub's listeners
		s.bring(e, func() {})
	default:
		s.bring(e, func() { s.bringHere(e, to, kept && err == nil) })
	}
	if err == nil && !kept {
		err = s.takeIn()
	}
	return err
}

// hasListeners tells whether anybody here may hear what the spoke sends.
func (s *Spoke) hasListeners() bool {
	return s.registry.Load() != nil || s.hub.registry.Len() > 0
}

// bring brings an event to the spoke's listeners, and then calls here, also when an Inline
// listener on the spoke ends the goroutine.
func (s *Spoke) bring(e eventtarget.Event[eventtarget.Raw], here func()) {
	defer here()
	if r := s.registry.Load(); r != nil {
		_ = r.Deliver(s.ctx, e) // ErrClosed: nobody is there to hear it
	}
}

// bringHere brings an event to the hub's listeners. to is what they are to have handled; kept
// tells that the store has it.
func (s *Spoke) bringHere(e eventtarget.Event[eventtarget.Raw], to handed, kept bool) {
	switch {
	case to.by != nil: // also when the spoke has gone
		_ = s.hub.registry.DeliverThen(s.hub.ctx, e, to.done)
	case kept && s.hub.sharesLog():
		ctx, release := s.movesOn()
		defer release()
		_ = s.hub.registry.Deliver(ctx, e)
	default:
		_ = s.hub.registry.Deliver(s.ctx, e) // ErrClosed: nobody is there to hear it
	}
}

// movesOn returns a context that ends with the spoke, but not because its session goes on at
// another hub: there what the log has counts as received, and is not sent again.
func (s *Spoke) movesOn() (ctx context.Context, release func()) {
	if s.ctx.Err() != nil && !s.hasMoved() { // in this order: it ends behind that
		return s.ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(s.hub.ctx)
	stop := context.AfterFunc(s.ctx, func() {
		if !s.hasMoved() {
			cancel(context.Cause(s.ctx))
		}
	})
	return ctx, func() { stop(); cancel(nil) }
}

// hasMoved tells whether the spoke ends because its session goes on at another hub.
func (s *Spoke) hasMoved() bool {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.movedAway
}

// mayDispatch tells whether the spoke may dispatch on a topic; the peer is told if not.
func (s *Spoke) mayDispatch(topic eventtarget.Topic) bool {
	refusal := s.hub.authorize(s, OpDispatch, topic)
	if refusal != nil {
		s.hub.stats.refused.Add(1)
		s.answer(s.hub.control(wire.Refused, "", wire.RefusedPayload{Topic: topic.String(), Reason: refusal.Error()}))
	}
	return refusal == nil
}

// receiveAck handles an acknowledgement.
func (s *Spoke) receiveAck(m wire.Message) error {
	var p wire.AckPayload
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		return fmt.Errorf("%s: %w", m.Type, err)
	}
	s.acknowledged(p.Received)
	return nil
}

// receiveControl handles a message of the protocol's own.
func (s *Spoke) receiveControl(m wire.Message) error {
	switch m.Type {
	case wire.Subscribe:
		return s.subscribe(m)
	case wire.Unsubscribe:
		return s.unsubscribe(m)
	default:
		s.hub.stats.ignored.Add(1)
		return nil
	}
}

// answer sends the spoke a control message, in the log's order.
func (s *Spoke) answer(m *message) {
	s.hub.log.Update(func(u framelog.Update) {
		s.post(item{at: s.placeFor(u.Head()), msg: m})
	})
}

// offence is the reason for ending a connection that sent a bad message.
func offence(err error) eventtarget.Reason {
	code := eventtarget.CodeMalformed
	if errors.Is(err, eventtarget.ErrTooLarge) {
		code = eventtarget.CodeTooLarge
	}
	return eventtarget.Reason{Code: code, Text: err.Error()}
}

// reasonOf is the reason behind a connection's own error.
func reasonOf(err error) eventtarget.Reason {
	if r, ok := errors.AsType[eventtarget.Reason](err); ok {
		return r
	}
	return eventtarget.Reason{Code: eventtarget.CodeLost, Text: err.Error()}
}

// heartbeats asks all spokes for signs of life, from one goroutine: an idle spoke
// has no timer of its own.
func (h *Hub) heartbeats() {
	tick := time.NewTicker(h.opts.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		}
		for s := range h.Spokes() {
			s.beat()
		}
	}
}

// beat looks for a sign of life since the last beat and asks for one if there was
// none.
func (s *Spoke) beat() {
	a := s.attached()
	if a == nil {
		return
	}
	if s.relieve(a, a.stuck) {
		return // nobody can have heard anything meanwhile
	}
	turn := a.turn.Load()
	if idler, ok := a.conn.(Idler); ok && turn == a.stuck {
		idler.Quiet()
	}
	a.stuck = turn
	pinger, ok := a.conn.(link.Pinger)
	if !ok {
		return
	}
	if now := pinger.Heard(); now != a.heard {
		a.heard, a.misses = now, 0
		return
	}
	if a.misses++; a.misses > s.hub.opts.Misses {
		s.lost(a, eventtarget.Reason{Code: eventtarget.CodeTimeout})
		return
	}
	_ = pinger.Ping() // an error is the reader's to see
}
