package hub

import (
	"context"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// movedAway ends a spoke whose session goes on at another hub. If its peer is here in a later
// attempt, which the log knows nothing of, it is to come again.
func (x *shared) movedAway(r Record) {
	x.hub.mu.Lock()
	s := x.hub.sessions[r.Session]
	if s != nil {
		s.movedAway = true // also if it is this hub's again when the spoke leaves
	}
	x.hub.mu.Unlock()
	if s == nil {
		return
	}
	reason := eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "its session goes on at another hub"}
	if s.session.newer(r.Try) {
		reason.Code = eventtarget.CodeTryLater
	}
	x.ears.behind(s.uplink)
	s.end(reason)
}

// abandoned returns the sessions of this hub that have had no spoke for too long.
func (x *shared) abandoned(here map[string]struct{}) (ids []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	for id, s := range x.returning {
		_, has := here[id]
		switch {
		case s.hub != x.id:
		case has:
			s.idle = time.Time{}
		case s.idle.IsZero():
			s.idle = now
		case now.Sub(s.idle) >= x.hub.opts.SessionTimeout:
			ids = append(ids, id)
		}
	}
	return ids
}

// comesBack takes a session over from the hub that it was at.
func (x *shared) comesBack(hello *wire.HelloPayload, identity string) (*returning, error) {
	if err := x.lookUp(hello.Session); err != nil {
		return nil, err
	}
	x.mu.Lock()
	s := x.returning[hello.Session]
	possible := s != nil && s.identity == identity // whose it is, is nobody else's to know
	if possible {
		s.idle = time.Time{}
	}
	x.mu.Unlock()
	if !possible || !x.hub.disown(hello.Session) {
		return nil, nil
	}
	if err := x.claim(hello); err != nil {
		return nil, err
	}
	var seq uint64
	x.hub.log.Update(func(framelog.Update) { seq = x.seq })
	x.mu.Lock()
	defer x.mu.Unlock()
	s = x.returning[hello.Session]
	if s == nil || hello.Place.Seq > seq {
		return nil, nil
	}
	if s.hub != x.id { // a connection to another hub has taken it over meanwhile
		return nil, errOlder
	}
	left := *s
	left.place, left.heard = hello.Place.Seq, x.ears.mark()
	return &left, nil
}

// lookUp waits, where a session is not known, until all is applied that others have said before:
// it may have begun just now, and this hub be behind.
func (x *shared) lookUp(session string) error {
	x.mu.Lock()
	known := x.returning[session] != nil
	x.mu.Unlock()
	if known {
		return nil
	}
	ctx, cancel := context.WithTimeout(x.hub.ctx, helloTimeout)
	defer cancel()
	return x.keep(ctx, entry{record: Record{Kind: RecordAlive}})
}

// claim says that a session goes on at this hub, and waits until that is applied, and so all
// that others have said before.
func (x *shared) claim(hello *wire.HelloPayload) error {
	ctx, cancel := context.WithTimeout(x.hub.ctx, helloTimeout)
	defer cancel()
	return x.keep(ctx, entry{record: Record{Kind: RecordMoved, Session: hello.Session, Try: hello.Try}})
}

// ascertain sees to it that the session of a spoke is this hub's, when its peer has made attempts
// elsewhere since the last one here: one may have taken it over, of which this hub has not read
// yet, and one that is still held up is to take over nothing. What came over connections before
// a has been answered for: what the log has behind the claim would count. The error is that the
// peer is to come again.
func (x *shared) ascertain(s *Spoke, a *attachment, hello *wire.HelloPayload) error {
	if err := x.claim(hello); err != nil {
		return err
	}
	if !s.has(a) {
		return errOlder
	}
	return nil
}

// disown makes a session no more that of a spoke that is about to leave, whose end is not
// the session's then. It is false if there is one that is not.
func (h *Hub) disown(session string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[session]
	if s != nil && !s.ending.Load() {
		return false
	}
	delete(h.sessions, session)
	return true
}
