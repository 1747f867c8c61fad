package hub

import (
	"context"
	"time"

	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// returning is a session that another process has left.
type returning struct {
	identity string
	received uint64
	own      bool // it was sent something that is not kept, or may miss that
	back     bool // it hears again
	place    uint64

	// With a shared store:
	hub  string    // that it is at
	try  uint64    // which of its peer's attempts to resume it has brought it there
	idle time.Time // since when it is at this hub and has no spoke; zero: it has, or is elsewhere

	heard <-chan struct{} // closed when the hub's listeners have heard what it said elsewhere; nil: they have
}

func (j *journal) restore(r Record) {
	j.handling.found(r, j.hub.opts.LogEvents, j.hub.opts.LogBytes)
	if j.shared != nil && (!j.shared.counts(r) || j.shared.older(r)) {
		return
	}
	j.account(r)
	switch r.Kind {
	case RecordName:
		if j.shared == nil && r.Seq > j.seq { // what is before it has gone
			j.seq, j.recent.floor = r.Seq, r.Seq
		}
	case RecordEvent, RecordAddressed:
		if r.Close != nil {
			return // whoever it was for has gone
		}
		if j.shared != nil {
			var err error
			var m wire.Message
			if m, r.Message, err = j.shared.read(r); err != nil {
				return
			}
			if r.Kind == RecordEvent && j.hub.bridged.repeats(m.Headers) {
				j.seq = r.Seq
				return
			}
		}
		j.seq = r.Seq
		j.recent.add(&r, r.Message, &j.hub.opts)
	}
}

// account follows which sessions there are. Under mu, but for Restore.
func (j *journal) account(r Record) {
	x := j.returning[r.Session]
	switch r.Kind {
	case RecordName:
		if j.name == "" || j.shared == nil {
			j.name = r.Name
		}
	case RecordOpened:
		if x == nil {
			x = &returning{identity: r.Name}
			j.returning[r.Session] = x
		}
		x.hub, x.try = r.Hub, max(x.try, r.Try)
	case RecordMoved:
		if x != nil {
			x.hub, x.try, x.idle = r.Hub, max(x.try, r.Try), time.Time{}
		}
	case RecordEnded:
		delete(j.returning, r.Session)
	}
	if x != nil {
		x.received = max(x.received, r.Received)
		x.own = x.own || r.Kind == RecordOwn
	}
}

// comesBack tells whether a peer is one of a session that another process has left, and
// takes that out. The error is that the store does not answer.
func (j *journal) comesBack(hello *wire.HelloPayload, identity string) (*returning, error) {
	if j == nil || hello.Place == nil || hello.Place.Store != j.storeName() {
		return nil, nil
	}
	if j.shared != nil {
		return j.shared.comesBack(hello, identity)
	}
	var ahead bool
	j.hub.log.Update(func(framelog.Update) { ahead = hello.Place.Seq > j.seq })
	j.mu.Lock()
	defer j.mu.Unlock()
	x := j.returning[hello.Session]
	if x == nil || x.identity != identity || ahead { // whose it is, is nobody else's to know
		return nil, nil
	}
	delete(j.returning, hello.Session)
	x.place = hello.Place.Seq
	return x, nil
}

// putBack undoes comesBack for a spoke that was not let in: its peer may come again. With a
// shared store nothing was taken out: see prune.
func (j *journal) putBack(s *Spoke) {
	if s.left == nil || j.shared != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.returning != nil {
		j.returning[s.session.id] = s.left
		return
	}
	j.queue = append(j.queue, entry{record: Record{Kind: RecordEnded, Session: s.session.id}}) // as giveUp would have
	j.poke()
}

// place returns how far the store is, for a new session; nil without one. Inside the
// log's Update.
func (j *journal) place() *wire.Place {
	if j == nil {
		return nil
	}
	return &wire.Place{Store: j.storeName(), Seq: j.seq}
}

func (j *journal) storeName() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.name
}

// opened keeps that a session begins, or goes on in this process.
func (j *journal) opened(s *Spoke) {
	switch {
	case j == nil:
		return
	case s.left != nil:
		j.mu.Lock()
		s.session.own.Store(s.left.own)
		j.mu.Unlock()
		return
	}
	// Before the peer knows of it, but for a store that is stuck: see Options.WriteTimeout.
	ctx, cancel := context.WithTimeout(j.hub.ctx, j.hub.opts.WriteTimeout)
	defer cancel()
	_ = j.keep(ctx, entry{record: Record{Kind: RecordOpened, Session: s.session.id, Name: s.identity}})
}
