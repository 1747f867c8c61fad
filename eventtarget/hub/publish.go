package hub

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Dispatch accepts e for every spoke that is there and listens to its topic. It
// waits for the spokes that are being written to, bounded by ctx, but for none that
// does not read, unless the hub is set to Block.
func (h *Hub) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	return h.dispatch(ctx, e, nil)
}

// dispatch is Dispatch for all but some.
func (h *Hub) dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw], except []*Spoke) error {
	if err := h.check(ctx, &e); err != nil {
		return err
	}
	p, err := h.bridged.enter(ctx, &e)
	if err == nil {
		defer p.leave()
		err = h.accept(ctx, &e, except, p)
	}
	switch {
	case errors.Is(err, errRepeat):
		return nil
	case err != nil:
		return h.fail("dispatch", e.Topic(), err)
	}
	if (h.opts.Echo || p.far) && !p.byLog() {
		return h.registry.Deliver(ctx, wire.Clone(&e))
	}
	return nil
}

// accept publishes an event that was dispatched here, and hands it to the other hubs.
func (h *Hub) accept(ctx context.Context, e *eventtarget.Event[eventtarget.Raw], except []*Spoke, p passage) error {
	msg := envelope(e)
	defer wire.PutBuffer(msg)
	m := h.joined.Load()
	defer m.came(m.comes())
	err := h.publish(ctx, e.Topic(), *msg, except, nil, Record{Own: !p.far})
	if err == nil {
		h.forward(ctx, p.dispatcher(ownDispatcher), fromHub, e)
	}
	p.accepted(err)
	return err
}

// check tells whether e can be dispatched.
func (h *Hub) check(ctx context.Context, e *eventtarget.Event[eventtarget.Raw]) error {
	if err := h.registry.CheckDispatch(ctx, e.Topic()); err != nil {
		return err
	}
	if err := wire.Check(e, h.opts.Limits); err != nil {
		return h.fail("dispatch", e.Topic(), err)
	}
	return nil
}

// encode checks e and returns its message, in a buffer to be put back.
func (h *Hub) encode(ctx context.Context, e *eventtarget.Event[eventtarget.Raw]) (*[]byte, error) {
	if err := h.check(ctx, e); err != nil {
		return nil, err
	}
	return envelope(e), nil
}

// envelope returns the message of an event that was checked, in a buffer to be put back.
func envelope(e *eventtarget.Event[eventtarget.Raw]) *[]byte {
	msg := wire.GetBuffer()
	*msg = wire.Append((*msg)[:0], e)
	return msg
}

// relay passes a message from one spoke on to the others, as it stands, where no store keeps
// it first.
func (h *Hub) relay(from *Spoke, m *wire.Message, msg []byte) error {
	// The reader of that spoke waits for the others here, and so feels that
	// they are behind. The error says that the hub is closed.
	err := h.publish(h.ctx, eventtarget.Topic{Type: m.Type, ID: m.ID}, msg, []*Spoke{from}, m, Record{})
	if err != nil {
		from.tooLate()
	}
	return err
}

// tooLate counts an event that was not relayed. What a session has sent, its peer sends again
// or tells.
func (s *Spoke) tooLate() {
	if s.session == nil {
		s.hub.late.Add(1)
	}
}

// publish appends a message to the log, for those who follow it, and puts it into
// the inboxes of the others who want it; with a store, when that has it.
func (h *Hub) publish(ctx context.Context, topic eventtarget.Topic, msg []byte, except []*Spoke, m *wire.Message, r Record) error {
	if h.journal != nil {
		return h.store(ctx, topic, msg, except, m, r, nil).await(ctx)
	}
	if err := h.pace.wait(ctx); err != nil {
		return err
	}
	retain := h.retains(topic) // the user's code: before anything is done, and not under a lock
	var crowd []*Spoke
	var err error
	h.log.Update(func(u framelog.Update) {
		if u.Sealed() {
			err = eventtarget.ErrClosed
			return
		}
		crowd = h.append(u, topic, msg, except, retain)
	})
	h.wakeAll()
	if err != nil {
		return err
	}
	h.ease(ctx, crowd)
	return nil
}

// stored is something that was given to the store.
type stored struct {
	hub    *Hub
	ticket *ticket
	err    error    // it was not taken
	crowd  []*Spoke // see ease; the journal's until it has answered
}

// store gives a message to the store, which publishes it when it has that. to is nil, or
// becomes what is to be handled here.
func (h *Hub) store(ctx context.Context, topic eventtarget.Topic, msg []byte, except []*Spoke, m *wire.Message, r Record, to *handed) *stored {
	if err := h.pace.wait(ctx); err != nil {
		return &stored{err: err}
	}
	for _, s := range except {
		if s.session != nil {
			r.Except = append(r.Except, s.session.id)
		}
	}
	r.Kind = RecordEvent
	r.Message = bytes.Clone(msg) // who stops waiting may use its buffer again
	k, retain := &stored{hub: h}, h.retains(topic)
	k.ticket, k.err = h.journal.enter(entry{record: r, decoded: m, handed: to, apply: func(u framelog.Update, msg []byte) {
		k.crowd = h.append(u, topic, msg, except, retain)
	}})
	return k
}

// await waits until it is published.
func (k *stored) await(ctx context.Context) error {
	if k.err != nil {
		return k.err
	}
	if err := k.hub.journal.await(ctx, k.ticket); err != nil {
		return err
	}
	k.hub.ease(ctx, k.crowd)
	return nil
}

// append is publish inside the log's Update. It returns whose inboxes are getting full.
func (h *Hub) append(u framelog.Update, topic eventtarget.Topic, msg []byte, except []*Spoke, retain bool) (crowd []*Spoke) {
	from, to := u.Append(msg)
	for _, s := range except { // who reads the log, or may yet hear what stands there
		if _, byInbox := h.interest.all[s]; s.everything && !byInbox || s.replays || !s.isReady() {
			s.inbox.skip(from, to, u.Tail())
		}
	}
	if retain {
		h.retained.keep(topic, msg, from)
	}
	if h.interest.none() {
		return nil
	}
	m := h.message(topic, msg)
	m.after = to
	h.interest.match(topic, func(s *Spoke) {
		if !slices.Contains(except, s) && s.post(item{at: from, msg: m}) {
			crowd = append(crowd, s)
		}
	})
	return crowd
}

// post puts a message into the spoke's inbox, inside the log's Update, and tells
// whether that is getting full. A spoke that cannot take it is ended.
func (s *Spoke) post(i item) (crowded bool) {
	switch err := s.inbox.put(i); {
	case err == nil:
		s.shard.mark(s)
	case errors.Is(err, eventtarget.ErrOverflow):
		s.tooSlow()
	}
	return s.inbox.isCrowded()
}

// ease waits for spokes that much waits for, so that a dispatcher does not outrun
// those who read as fast as they can: see pace. The event was accepted, so that the
// end of ctx is no error.
func (h *Hub) ease(ctx context.Context, crowd []*Spoke) {
	if len(crowd) == 0 || eventtarget.CallerOf(ctx) == eventtarget.InlineListener {
		return
	}
	for _, s := range crowd {
		for ctx.Err() == nil && s.ctx.Err() == nil { // one that ends may take a while to leave
			began := time.Now()
			room, most := s.inbox.wait(began)
			if room == nil || most <= 0 || s.attached() == nil { // nobody waits for one that is down
				break
			}
			late := time.NewTimer(min(most, s.hub.opts.WriteTimeout))
			select {
			case <-room:
			case <-late.C:
				s.endHeld(began)
			case <-ctx.Done():
			case <-s.ctx.Done():
			}
			late.Stop()
			s.inbox.waited(time.Since(began))
		}
	}
}

// endHeld ends a spoke that everyone waits for since a time, if that has lasted for as long as
// that may, and no writer sees to it: a snapshot is in its way, which may wait for the
// dispatcher.
func (s *Spoke) endHeld(since time.Time) {
	if s.inbox.overflow() == eventtarget.Block && time.Since(since) >= s.hub.opts.WriteTimeout && s.inbox.isHeld() {
		s.end(eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "its snapshot took too long"})
	}
}

// message frames a copy of an envelope.
func (h *Hub) message(topic eventtarget.Topic, msg []byte) *message {
	m := &message{topic: topic, bytes: make([]byte, 0, len(msg)+16)}
	if h.opts.Framing != nil {
		m.bytes = h.opts.Framing(m.bytes, len(msg))
		m.header = len(m.bytes)
	}
	m.bytes = append(m.bytes, msg...)
	return m
}

// control returns a control message.
func (h *Hub) control(controlType, id string, payload any) *message {
	return h.message(eventtarget.T(controlType, id), wire.AppendControl(nil, controlType, id, payload))
}
