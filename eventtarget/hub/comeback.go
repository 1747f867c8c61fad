package hub

import (
	"context"
	"fmt"
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
		if e.to == (address{}) && (s.everything || s.wants(topic)) || e.to.Identity != "" && e.to.Identity == s.identity {
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
	j.mu.Lock()
	defer j.mu.Unlock()
	return x.own || x.place < j.recent.floor
}

// passed are the sessions of another process that have not missed yet what is not kept, by identity.
type passed map[string][]absent

type absent struct {
	id string
	*returning
}

// passes notes that those miss what is dispatched to an audience, which the store has not, who
// have not come back yet and may be of it: of which groups they are nobody knows.
func (j *journal) passes(to address) {
	if j == nil || j.shared != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refuses() != nil {
		return
	}
	if to.Identity != "" {
		j.miss(to.Identity)
		return
	}
	for identity := range j.passed {
		j.miss(identity)
	}
}

// miss notes it of those with an identity. Under mu.
func (j *journal) miss(identity string) {
	for _, x := range j.passed[identity] {
		if !x.own && !x.back {
			x.own = true
			j.queue = append(j.queue, entry{record: Record{Kind: RecordOwn, Session: x.id}})
			j.poke()
		}
	}
	delete(j.passed, identity)
}

// arrived notes that a session that another process had left hears again.
func (j *journal) arrived(x *returning) {
	if x != nil {
		j.mu.Lock()
		x.back = true
		j.mu.Unlock()
	}
}

// updateOwn is an update of the log in which a spoke is sent something of its own, if that is
// so: in any case, or what is retained, of which there may be nothing. A hub that retains
// nothing so far owes nobody a gap for it.
func (h *Hub) updateOwn(s *Spoke, sends, retained bool, do func(framelog.Update)) {
	retained = retained && h.journal != nil && s.session != nil
	for done := false; !done; sends = true {
		if sends {
			_ = h.sendsOwn(s.ctx, s) // the error is the store's, which is told
		}
		h.log.Update(func(u framelog.Update) {
			if done = sends || !retained || len(h.retained.topics) == 0; done {
				do(u)
			}
		})
	}
}

// sendsOwn notes, before that happens, that the spokes are sent something of their own,
// which the store does not have: all of them at once, and waits for that, bounded by ctx.
// After an error nothing is sent, so that what became of the notes does not matter.
func (h *Hub) sendsOwn(ctx context.Context, spokes ...*Spoke) error {
	if h.journal == nil {
		return nil
	}
	var noted []*Spoke
	var tickets []*ticket
	for _, s := range spokes {
		if s.session == nil || s.session.own.Load() {
			continue
		}
		t, err := h.journal.enter(entry{record: Record{Kind: RecordOwn, Session: s.session.id}})
		if err != nil {
			return err
		}
		noted, tickets = append(noted, s), append(tickets, t)
	}
	var first error
	for n, t := range tickets { // also after an error: those in line are to leave it
		err := h.journal.await(ctx, t)
		if err == nil {
			noted[n].session.own.Store(true)
		} else if first == nil {
			first = err
		}
	}
	if first != nil && ctx.Err() != nil {
		return fmt.Errorf("the store is late: %w", context.Cause(ctx))
	}
	return first
}

// takeIn keeps that a message of the peer's was taken in which is no event for others.
func (s *Spoke) takeIn() error {
	if s.hub.journal == nil || s.session == nil {
		return nil
	}
	s.uplink.settle() // those before it count first
	return s.hub.journal.keep(s.hub.ctx, entry{record: Record{
		Kind: RecordReceived, Session: s.session.id, Received: s.session.in.Load() + 1,
	}})
}
