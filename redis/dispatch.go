package redis

import (
	"context"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Dispatch publishes e and returns once Redis has confirmed that, whether anybody
// hears it or not. What this target's own listeners hear of it they hear here, not
// by way of Redis. [eventtarget.ErrUnknownOutcome] is returned when the connection
// broke, or ctx ended, between sending and the answer: others may have heard it, and
// this target's listeners have not. On a durable bus confirmed means stored.
func (t *Target) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	if !t.gate.enter() {
		return t.shut(ctx, e.Topic())
	}
	defer t.gate.leave()
	s := t.send(ctx, &e, nil)
	return s.settle(ctx, &e)
}

// DispatchAll publishes events one behind the other, and has them confirmed together: see
// [eventtarget.BatchDispatcher]. On a cluster, those of different types may go to
// different nodes, each of which has its own order and its own end. With RetryFor, one that
// Redis refuses for now, out of memory perhaps, while it accepts some behind it, is sent
// again and then stands behind those.
func (t *Target) DispatchAll(ctx context.Context, events []eventtarget.Event[eventtarget.Raw]) (errs []error) {
	failed := func(i int, err error) {
		if errs == nil {
			errs = make([]error, len(events))
		}
		errs[i] = err
	}
	if !t.gate.enter() {
		for i := range events {
			failed(i, t.shut(ctx, events[i].Topic()))
		}
		return errs
	}
	defer t.gate.leave()
	sent := make([]sending, len(events))
	trains := make(map[*publisher]*train, 1)
	for i := range events {
		sent[i] = t.send(ctx, &events[i], trains)
	}
	for i := range sent {
		if err := sent[i].settle(ctx, &events[i]); err != nil {
			failed(i, err)
		}
	}
	return errs
}

// shut is why nothing can be dispatched any more.
func (t *Target) shut(ctx context.Context, topic eventtarget.Topic) error {
	if err := t.registry.CheckDispatch(ctx, topic); err != nil {
		return err
	}
	return fail("dispatch", topic, eventtarget.ErrClosed)
}

// sending is an event on its way to Redis, or why it is not.
type sending struct {
	target *Target
	by     *publisher
	m      *message // nil: err says why it was not handed over
	err    error
}

// send is the first half of Dispatch: it hands an event to its publisher, behind those that
// were handed over before. trains has one for each publisher; nil: the event goes by itself.
func (t *Target) send(ctx context.Context, e *eventtarget.Event[eventtarget.Raw], trains map[*publisher]*train) sending {
	s := sending{target: t}
	if s.err = t.registry.CheckDispatch(ctx, e.Topic()); s.err != nil {
		return s
	}
	if err := wire.Check(e, t.opts.Limits); err != nil {
		s.err = fail("dispatch", e.Topic(), err)
		return s
	}
	s.by = &t.partOf(e.Type).publisher
	m := s.by.message()
	if m.about != e.Type || m.channel == "" {
		m.about, m.channel = e.Type, t.channelOf(e.Type)
	}
	m.text = appendMessage(m.text, t.origin, e)
	if trains != nil {
		if trains[s.by] == nil {
			trains[s.by] = new(train)
		}
		m.train = trains[s.by]
	}
	if err := s.by.hand(ctx, m); err != nil {
		s.err = fail("dispatch", e.Topic(), err)
		return s
	}
	s.m = m
	return s
}

// settle is the second half: it waits for Redis, and brings e, which was sent, to the
// listeners here.
func (s *sending) settle(ctx context.Context, e *eventtarget.Event[eventtarget.Raw]) error {
	if s.m == nil {
		return s.err
	}
	t := s.target
	if err := s.by.confirmed(ctx, s.m); err != nil {
		return fail("dispatch", e.Topic(), err)
	}
	if t.opts.NoEcho || t.member != nil || t.registry.Len() == 0 {
		return nil
	}
	if ctx.Err() != nil { // Redis was faster, but no listener may wait any more
		return fail("dispatch", e.Topic(), unknown(context.Cause(ctx)))
	}
	return t.registry.Deliver(ctx, wire.Clone(e))
}
