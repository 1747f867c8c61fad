package hub

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Attach makes conn a spoke of the hub, which owns it from now on, in case of an
// error too. It returns when OnConnect has. The error is [eventtarget.ErrClosed],
// [eventtarget.ErrLimit], [eventtarget.ErrForbidden] for a second spoke of an identity
// if the hub refuses that, [eventtarget.ErrGone] when the spoke was closed in OnConnect
// or one of Meta.Topics is refused, which no message could tell; the store's when that
// cannot bring back the peer's session, or says that the id is taken.
func (h *Hub) Attach(conn link.Conn, meta Meta) (*Spoke, error) {
	h.journal.pass()
	g, err := h.greet(conn)
	if err != nil {
		_ = conn.Close(reasonOf(err))
		return nil, h.fail("attach", eventtarget.Topic{}, err)
	}
	var left *returning
	if g.hello != nil && g.hello.Session != "" {
		defer h.arrive(g.hello.Session)()
		var s *Spoke
		if s, left, err = h.goOn(conn, meta, g); err != nil {
			_ = conn.Close(eventtarget.Reason{Code: eventtarget.CodeTryLater}) // or at another hub
			return nil, h.fail("attach", eventtarget.Topic{}, err)
		}
		if s != nil {
			return s, nil
		}
	}
	if meta.ID == "" {
		meta.ID = newID()
	}
	if !meta.Since.valid {
		meta.Since = h.Position()
	}
	s := h.newSpoke(newAttachment(conn, g.first), &meta)
	if g.hello != nil {
		s.left, s.session = left, h.newSession(g.hello, left)
		if left == nil {
			defer h.arrive(s.session.id)()
		} else {
			s.uplink.after = left.heard
		}
	}
	if err := h.join(s); err != nil {
		h.journal.putBack(s)
		s.cancel(err)
		return nil, h.fail("attach", eventtarget.Topic{}, err)
	}
	a, settled := s.out, false
	defer s.abandon(a, &settled)
	if s.session != nil {
		h.journal.opened(s)
	}
	h.connected(s)
	s.mu.Lock()
	s.known = true
	s.mu.Unlock()
	s.refuse(meta.Topics)
	if reason, ending := s.Reason(); ending {
		settled = true
		s.depart()
		return nil, h.fail("attach", eventtarget.Topic{}, fmt.Errorf("%w: %w", eventtarget.ErrGone, reason))
	}
	s.begin(g, &meta)
	s.mu.Lock()
	s.expireAt(meta.Expires)
	s.mu.Unlock()
	if h.opts.FirstMessage > 0 && !meta.ReceiveOnly {
		time.AfterFunc(h.opts.FirstMessage, s.expectFirst)
	}
	settled = true
	s.startReading(a)
	return s, nil
}

// abandon ends a spoke that has no reader to see to that, unless it is settled what becomes
// of it: a hook of the user's has panicked, or ended the goroutine (runtime.Goexit).
func (s *Spoke) abandon(a *attachment, settled *bool) {
	if !*settled {
		s.detach(a, eventtarget.Reason{Code: eventtarget.CodeInternal})
	}
}

// goOn looks for the session that a peer asks for: with its spoke here, or left by another
// process. Both are nil if the peer is to get a new one; the error is that it is to come
// again.
func (h *Hub) goOn(conn link.Conn, meta Meta, g greeting) (s *Spoke, left *returning, err error) {
	if s, err = h.resume(conn, meta, g); s != nil || err != nil {
		return s, nil, err
	}
	left, err = h.journal.comesBack(g.hello, meta.Identity)
	return nil, left, err
}

func (h *Hub) newSpoke(a *attachment, meta *Meta) *Spoke {
	now := time.Now()
	s := &Spoke{
		hub: h, att: a, out: a, place: -1, since: now.UnixNano(),
		id: meta.ID, identity: meta.Identity, transport: meta.Transport, addr: meta.Addr, path: meta.Path, headers: meta.Headers,
		values: maps.Clone(meta.Values), granted: meta.Values, resumes: meta.Resumes,
	}
	if h.journal != nil {
		s.uplink = new(uplink)
	}
	s.inbox.policy = h.opts.Overflow
	s.inbox.bounds = &h.bounds
	if h.opts.Rate > 0 {
		s.throttle = &throttle{rate: h.opts.Rate, burst: float64(h.opts.Burst), tokens: float64(h.opts.Burst), last: now}
	}
	s.moved(meta.Since.at)
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// join puts s into the set, and counts its reader. Those that it replaces are ended.
func (h *Hub) join(s *Spoke) error {
	replaced, err := h.enter(s)
	if err != nil {
		_ = s.out.conn.Close(refusal(err))
		return err
	}
	for _, other := range replaced {
		other.end(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "replaced by another connection"})
	}
	return nil
}

// refuse ends the spoke if it is to hear what it may not.
func (s *Spoke) refuse(topics []eventtarget.Topic) {
	if len(topics) > s.hub.opts.Subscriptions {
		s.end(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: fmt.Sprintf("%d topics, more than %d", len(topics), s.hub.opts.Subscriptions)})
		return
	}
	for _, t := range topics {
		if err := s.hub.authorize(s, OpSubscribe, t); err != nil {
			s.end(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: fmt.Sprintf("%s: %v", t, err)})
			return
		}
	}
}

// begin settles what the spoke hears, once OnConnect has returned, and makes the
// sweeper see to it.
func (s *Spoke) begin(g greeting, meta *Meta) {
	h := s.hub
	asked, revoked := g.hello != nil && g.hello.Topics != nil || meta.Topics != nil, s.revoked.Load()
	unasked := !asked && !h.opts.OnlySubscribed && h.authorize(s, OpSubscribe, everything) == nil
	welcome := wire.WelcomePayload{Resumed: s.left != nil}
	h.updateOwn(s, s.inbox.overflow() == eventtarget.Conflate, unasked && s.left == nil, func(u framelog.Update) {
		s.mu.Lock()
		s.ready = true
		s.mu.Unlock()
		s.replays = s.resumes || s.left != nil || asked && h.opts.Snapshot == nil // a snapshot has what came meanwhile
		welcome.Place = h.journal.place()
		if s.resumes {
			s.resumed.Add(1)
		}
		if s.replays && s.left == nil && (s.missedSince(u, meta.Since, !unasked) || meta.HeardNothing) { // it begins as one that is new, behind a gap if there is one
			s.resumes = false
			s.replays = asked && h.opts.Snapshot == nil
		}
		if !unasked {
			return
		}
		s.setEverything(true)
		s.following.Store(true)
		switch {
		case s.left != nil:
			s.replayStored(u)
		case !s.resumes:
			s.beginWith([]eventtarget.Topic{everything}, s.at)
		}
		if s.inbox.overflow() != eventtarget.Conflate {
			s.shard.follow(s, true)
			return
		}
		h.interest.addAll(s) // from the head on; what is before it stands in the log only
		_ = s.inbox.put(item{at: u.Head(), do: &step{kind: doLeave}})
	})
	h.recheckSince(s, revoked)
	if asked {
		welcome.Refused = s.hear(append(g.topics, meta.Topics...), meta.Added, nil)
	}
	s.awaitBus()
	if g.hello != nil {
		s.received.Add(1)
		welcome.Session, welcome.Received = s.session.id, s.session.in.Load()
		h.journal.arrived(s.left)
		s.left = nil // what it asks for from now on is new
		if err := s.welcome(s.out, welcome); err != nil {
			s.out.fail(reasonOf(err))
		}
	}
	h.log.Update(func(u framelog.Update) {
		s.replays = s.replays && !asked && !unasked // else what it asks for later begins then
		s.settled(u)
		s.inbox.sort()
	})
	s.shard.add(s)
}
