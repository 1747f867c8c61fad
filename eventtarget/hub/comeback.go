package hub

import (
	"slices"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// replayStored puts what the store has for a spoke that comes back from another process
// in front of what is dispatched from now on. Inside the log's Update.
func (s *Spoke) replayStored(u framelog.Update) {
	j, left := s.hub.journal, s.left
	s.moved(u.Head())
	var missed []item
	unsure := j.misses(left)
	for _, e := range j.recent.events {
		if e.seq <= left.place || slices.Contains(e.except, s.session.id) {
			continue
		}
		unsure = unsure || e.to.Group != "" // of which it may have been a member
		m, err := s.hub.decode(e.msg)
		if err != nil {
			continue // somebody else has written it into the store
		}
		topic := eventtarget.Topic{Type: m.Type, ID: m.ID}
		if e.to == (address{}) && (s.everything || s.wants(topic)) || e.to.Identity != "" && e.to.Identity == s.meta.Identity {
			missed = append(missed, item{at: s.at, msg: s.hub.message(topic, e.msg)})
		}
	}
	if unsure {
		s.post(item{at: s.at, msg: s.gapMessage(0)})
	}
	for _, i := range s.fitting(missed) {
		s.post(i)
	}
}

// misses tells whether a session may miss what the store has not. Inside the log's Update.
func (j *journal) misses(x *returning) bool {
	return x.own || x.place < j.recent.floor
}

// sendsOwn notes, before that happens, that the spokes are sent something of their own,
// which the store does not have.
func (h *Hub) sendsOwn(spokes ...*Spoke) error {
	if h.journal == nil {
		return nil
	}
	for _, s := range spokes {
		if s.session == nil || s.session.own.Load() {
			continue
		}
		if err := h.journal.keep(h.ctx, entry{record: Record{Kind: RecordOwn, Session: s.session.id}}); err != nil {
			return err
		}
		s.session.own.Store(true)
	}
	return nil
}

// takeIn keeps that a message of the peer's was taken in which is no event for others.
func (s *Spoke) takeIn() error {
	if s.hub.journal == nil || s.session == nil {
		return nil
	}
	return s.hub.journal.keep(s.hub.ctx, entry{record: Record{
		Kind: RecordReceived, Session: s.session.id, Received: s.session.in.Load() + 1,
	}})
}
