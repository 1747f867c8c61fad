package hub

import (
	"errors"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// read delivers what the peer sends until the connection ends.
func (s *Spoke) read() {
	for {
		msg, err := s.conn.Receive()
		if err == nil {
			err = s.throttle.wait(s.ctx)
		}
		if err != nil {
			s.end(reasonOf(err))
			return
		}
		s.lastHeard.Store(time.Now().UnixNano())
		s.received.Add(1)
		if err := s.receive(msg); err != nil {
			s.hub.stats.malformed.Add(1)
			s.end(offence(err))
			return
		}
	}
}

// receive brings one message to the spoke's listeners, the hub's and, if the hub
// relays, the other spokes.
func (s *Spoke) receive(msg []byte) error {
	h := s.hub
	m, err := wire.Decode(msg, h.opts.Limits)
	if err != nil {
		return err
	}
	if s.isEnding() {
		return nil // what comes after the end is for nobody
	}
	if m.Control() {
		return s.receiveControl(m)
	}
	topic := eventtarget.Topic{Type: m.Type, ID: m.ID}
	if refusal := h.authorize(s, OpDispatch, topic); refusal != nil {
		h.stats.refused.Add(1)
		s.answer(h.control(wire.Refused, "", wire.RefusedPayload{Topic: topic.String(), Reason: refusal.Error()}))
		return nil //nolint:nilerr // the peer is told, and stays
	}
	e := eventtarget.Event[eventtarget.Raw]{
		Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: m.Headers, Source: s,
	}
	if h.opts.Relay { // before listeners here can spoil the payload for others
		h.relay(s, topic, msg)
	}
	// The errors are ErrClosed: then nobody is there to hear it.
	if r := s.registry.Load(); r != nil {
		_ = r.Deliver(s.ctx, e)
	}
	_ = h.registry.Deliver(s.ctx, e)
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
	if s.pinger == nil {
		return
	}
	if now := s.pinger.Heard(); now != s.heard {
		s.heard, s.misses = now, 0
		return
	}
	if s.misses++; s.misses > s.hub.opts.Misses {
		s.end(eventtarget.Reason{Code: eventtarget.CodeTimeout})
		return
	}
	_ = s.pinger.Ping() // an error is the reader's to see
}
