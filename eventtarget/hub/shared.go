package hub

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

const (
	// nameWait is how long a shared store may take to yield the first record of its own.
	nameWait = 10 * time.Second
	// sayAgain is after how many records a hub says again which sessions it has: what is
	// older may have left the log when another hub begins.
	sayAgain = 16384
)

// shared is what a journal does with a store that other hubs have, too: nothing is applied
// but what comes back out of it.
type shared struct {
	*journal
	log   SharedStore
	id    string // names this hub in the log
	ears  ears
	named chan struct{} // closed when the store has a name

	ref   uint64               // of the last record of this hub's. The writer's
	said  uint64               // the number of the record behind which sessions were said. The follower's
	over  bool                 // nothing comes back any more. Under mu
	idle  chan struct{}        // closed when sent has become empty; nil: nobody waits. Under mu
	heard map[string]time.Time // when a hub last said something. Under mu
	ended map[string]time.Time // when a session was over. Under mu
	sent  map[uint64]entry     // by ref, what has not come back yet. Under mu
	doubt uint64               // of these the log may have lost some, up to this ref. Under mu
}

func newShared(j *journal, log SharedStore) *shared {
	x := &shared{
		journal: j, log: log, id: newID()[:10], named: make(chan struct{}),
		heard: make(map[string]time.Time), ended: make(map[string]time.Time), sent: make(map[uint64]entry),
	}
	x.ears.hub = j.hub
	return x
}

// begin follows the log, and waits until that has a name.
func (x *shared) begin() error {
	if x.storeName() != "" {
		close(x.named)
	} else {
		x.note(Record{Kind: RecordName, Name: newID()[:10]}) // the first one in the log counts
	}
	x.hub.wg.Go(x.followAll)
	late := time.NewTimer(nameWait)
	defer late.Stop()
	select {
	case <-x.named:
		return nil
	case <-late.C:
		return fmt.Errorf("the store: %w", context.DeadlineExceeded)
	case <-x.hub.ctx.Done():
		return context.Cause(x.hub.ctx)
	}
}

// run appends what is to be kept, and gives signs of life, until the hub ends.
func (x *shared) run() {
	tick := time.NewTicker(max(x.hub.opts.SessionTimeout/3, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-x.wake:
			x.write()
		case <-tick.C:
			x.note(Record{Kind: RecordAlive})
			x.prune()
		case <-x.hub.ctx.Done():
			x.close()
			x.write()
			return
		}
	}
}

// followAll applies what comes out of the log until the hub ends.
func (x *shared) followAll() {
	defer x.giveUp()
	for r, err := range x.log.Follow(x.hub.ctx) {
		if err != nil {
			_ = x.fail(err)
			return
		}
		x.follow(r)
		if r.Seq >= x.said+sayAgain {
			x.said = r.Seq
			x.say()
		}
	}
}

// counts notes that a hub lives, and tells whether a record is of one that may say this:
// not of a session that has moved elsewhere, and perhaps ended there. Under mu, but for Restore.
func (x *shared) counts(r Record) bool {
	x.heard[r.Hub] = time.Now()
	if r.Session == "" || r.Kind == RecordMoved {
		return true
	}
	s := x.returning[r.Session]
	if _, over := x.ended[r.Session]; over || s != nil && s.hub != r.Hub {
		return false
	}
	if r.Kind == RecordEnded {
		x.ended[r.Session] = time.Now()
	}
	return true
}

// older tells of a record that takes a session over for an attempt of its peer's that was
// held up on its way. Under mu.
func (x *shared) older(r Record) bool {
	s := x.returning[r.Session]
	return r.Kind == RecordMoved && s != nil && r.Try > 0 && r.Try < s.try
}

var errLogLost = errors.New("the log no longer has them")

// follow applies one record.
func (x *shared) follow(r Record) {
	if r.Kind == RecordLost {
		x.hub.log.Update(func(framelog.Update) { x.recent.lost(r.Seq) })
		x.hub.tellGap(0, errLogLost)
		x.doubtSent()
		return
	}
	x.mu.Lock()
	var e entry
	if r.Hub == x.id {
		e = x.sent[r.Ref]
		x.lose(r.Ref)
	}
	if !x.counts(r) || x.older(r) {
		x.mu.Unlock()
		x.done(e, eventtarget.ErrGone)
		return
	}
	before := ""
	if s := x.returning[r.Session]; s != nil {
		before = s.hub
	}
	unnamed := x.name == ""
	x.account(r)
	named := unnamed && x.name != "" // a nameless one is somebody else's
	x.mu.Unlock()
	var err error
	switch r.Kind {
	case RecordName:
		if named {
			close(x.named)
		}
	case RecordMoved:
		if before == x.id && r.Hub != x.id {
			x.movedAway(r)
		}
	case RecordEvent:
		err = x.event(r, e)
	case RecordAddressed:
		err = x.addressed(r)
	}
	x.done(e, err)
}

// read returns the event of a record, and its message with the number.
func (x *shared) read(r Record) (m wire.Message, msg []byte, err error) {
	if m, err = x.hub.decode(r.Message); err != nil {
		x.hub.stats.malformed.Add(1)
		err = fmt.Errorf("record %d of the store: %w", r.Seq, err)
		x.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Count: 1, Err: err})
		return m, nil, err
	}
	return m, wire.Stamp(nil, r.Message, &m, r.Seq), nil
}

// event makes an event one of the log's.
func (x *shared) event(r Record, e entry) (err error) {
	h := x.hub
	m, msg, err := x.read(r)
	if err != nil {
		return err
	}
	if h.bridged.repeats(m.Headers) {
		h.log.Update(func(framelog.Update) { x.seq = r.Seq })
		return errRepeat
	}
	own := e.apply != nil
	if !own {
		_ = h.pace.wait(h.ctx) // the error is that the hub has ended
	}
	topic := eventtarget.Topic{Type: m.Type, ID: m.ID}
	var crowd []*Spoke
	retain := !own && h.retains(topic)
	h.log.Update(func(u framelog.Update) {
		if u.Sealed() {
			err = eventtarget.ErrUnknownOutcome // it is kept, so who comes to another hub hears it
			return
		}
		x.seq = r.Seq
		at := u.Head()
		if own {
			e.apply(u, msg)
		} else {
			crowd = h.append(u, topic, msg, nil, retain)
		}
		x.recent.add(&r, logged(u, at), &h.opts)
		if (!r.Own || h.opts.Echo) && (!own || h.bridged.brings(m.Headers)) { // else whoever dispatched it does that
			x.ears.hear(eventtarget.Event[eventtarget.Raw]{Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: m.Headers})
		}
	})
	h.wakeAll()
	if err == nil {
		h.ease(h.ctx, crowd)
	}
	return err
}

// addressed brings what is for a group or an identity to those who are here.
func (x *shared) addressed(r Record) error {
	to := x.hub.Group(r.Group).Audience
	if r.Identity != "" {
		to = x.hub.Identity(r.Identity)
	}
	if r.Close != nil {
		to.disconnect(*r.Close)
		return nil //nolint:nilerr // a reason to close with, and no error
	}
	m, msg, err := x.read(r)
	if err != nil {
		return err
	}
	x.hub.log.Update(func(framelog.Update) {
		x.seq = r.Seq
		x.recent.add(&r, msg, &x.hub.opts)
	})
	return to.deliver(x.hub.ctx, eventtarget.Topic{Type: m.Type, ID: m.ID}, msg)
}

// say says again what the store is called, and which sessions are here.
func (x *shared) say() {
	x.mu.Lock()
	all := []Record{{Kind: RecordName, Name: x.name}}
	for id, s := range x.returning {
		if s.hub != x.id {
			continue
		}
		all = append(all, Record{Kind: RecordOpened, Session: id, Name: s.identity, Received: s.received, Try: s.try})
		if s.own {
			all = append(all, Record{Kind: RecordOwn, Session: id})
		}
	}
	x.mu.Unlock()
	for _, r := range all {
		x.note(r)
	}
}

// prune forgets the sessions of hubs that have said nothing for longer than a session
// outlives its connection, and ends those of this one that nobody has come back to for so
// long: they were taken over for a peer that was not let in then.
func (x *shared) prune() {
	for _, id := range x.abandoned(x.hub.sessionIDs()) {
		x.note(Record{Kind: RecordEnded, Session: id})
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	silent := time.Now().Add(-2 * max(x.hub.opts.SessionTimeout, time.Second))
	maps.DeleteFunc(x.ended, func(_ string, at time.Time) bool { return at.Before(silent) })
	for hub, last := range x.heard {
		if hub == x.id || last.After(silent) {
			continue
		}
		delete(x.heard, hub)
		for id, s := range maps.Clone(x.returning) {
			if s.hub == hub {
				delete(x.returning, id)
			}
		}
	}
}

// sharesLog tells whether other hubs apply what this one's store has.
func (h *Hub) sharesLog() bool { return h.journal != nil && h.journal.shared != nil }
