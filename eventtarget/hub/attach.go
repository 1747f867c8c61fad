package hub

import (
	"context"
	"fmt"
	"maps"
	"runtime"
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

// renew takes over what another connection of the peer came with: what the one before did
// says nothing any more. Under mu.
func (s *Spoke) renew(meta Meta) {
	for key := range s.granted {
		delete(s.values, key)
	}
	if s.granted = meta.Values; s.values == nil {
		s.values = make(map[any]any)
	}
	maps.Copy(s.values, meta.Values)
	s.expireAt(meta.Expires)
}

// expireAt has the spoke end at a time, in place of the one that was set before. Zero:
// never. Under mu.
func (s *Spoke) expireAt(at time.Time) {
	if s.keep != nil {
		s.keep()
	}
	s.expires, s.keep = 0, nil
	if at.IsZero() {
		return
	}
	s.expires = at.UnixMilli()
	expiry := time.AfterFunc(time.Until(at), s.expire)
	release := context.AfterFunc(s.ctx, func() { expiry.Stop() })
	s.keep = func() {
		expiry.Stop()
		release()
	}
}

// expire ends the connection of a peer that is no longer who it was. A session waits for a
// new proof.
func (s *Spoke) expire() {
	s.mu.Lock()
	a, expired := s.att, s.expires != 0 && s.expires <= time.Now().UnixMilli() // or it was renewed just now
	s.mu.Unlock()
	if a != nil && expired {
		a.expired.Store(true)
		s.lost(a, eventtarget.Reason{Code: eventtarget.CodeExpired})
	}
}

// expectFirst ends a spoke that has not said anything yet.
func (s *Spoke) expectFirst() {
	if s.received.Load() == 0 {
		s.end(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "sent nothing in time"})
	}
}

// connected calls OnConnect. One that panics has not accepted the spoke.
func (h *Hub) connected(s *Spoke) {
	if h.opts.OnConnect == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			h.hookPanicked(s.ID(), "OnConnect", recover())
			s.end(eventtarget.Reason{Code: eventtarget.CodeInternal})
		}
	}()
	h.opts.OnConnect(s)
	returned = true
}

// disconnected calls OnDisconnect.
func (h *Hub) disconnected(s *Spoke, reason eventtarget.Reason) {
	if h.opts.OnDisconnect == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			h.hookPanicked(s.ID(), "OnDisconnect", recover())
		}
	}()
	h.opts.OnDisconnect(s, reason)
	returned = true
}

func (h *Hub) hookPanicked(peer, hook string, cause any) {
	stack := make([]byte, 16<<10)
	h.ReportFault(eventtarget.Fault{
		Kind: eventtarget.FaultPanic, Peer: peer,
		Err:   fmt.Errorf("%s panicked: %v", hook, cause),
		Stack: stack[:runtime.Stack(stack, false)],
	})
}

// Close ends the spoke at once and never waits: what is not yet out is discarded.
// The peer is told CodeNormal.
func (s *Spoke) Close() error {
	s.end(eventtarget.Reason{Code: eventtarget.CodeNormal})
	return nil
}

// Disconnect ends the spoke behind everything that was dispatched so far, and does
// not wait for that: a session ends when its peer has acknowledged it. Of what is dispatched
// from now on the peer hears nothing. It is told the reason. A spoke that is down ends at once.
func (s *Spoke) Disconnect(reason eventtarget.Reason) {
	s.disconnect(reason, func(u framelog.Update, d *step) error {
		return s.inbox.put(item{at: s.placeFor(u.Head()), do: d})
	})
}

// disconnect is Disconnect, where put puts it.
func (s *Spoke) disconnect(reason eventtarget.Reason, put func(framelog.Update, *step) error) {
	s.hub.log.Update(func(u framelog.Update) {
		_ = put(u, &step{kind: doClose, reason: reason}) // ErrGone: it ends already
	})
	s.shard.mark(s)
	if s.State() == eventtarget.StateDown {
		s.end(reason)
	}
}

// end closes the connection, for the first reason that there is; the reader
// notices and sees to the rest. It tells whether this was the first.
func (s *Spoke) end(reason eventtarget.Reason) (first bool) {
	return s.endIf(reason, func() bool { return true })
}

// endIf is end under a condition, which is asked under mu.
func (s *Spoke) endIf(reason eventtarget.Reason, holds func() bool) (first bool) {
	s.mu.Lock()
	first = !s.ending.Load() && holds()
	att := s.att
	if first {
		s.reason = &reason
		s.ending.Store(true)
	}
	s.mu.Unlock()
	if first {
		s.hub.pace.unparked(s) // also if it takes a while to leave
	}
	switch {
	case !first:
	case att == nil: // there is no reader
		s.cancel(reason)
		go s.depart()
	default:
		s.cancel(reason)
		_ = att.conn.Close(reason)
	}
	return first
}

// leave takes the spoke out of the set, tells, and releases what it held. It runs
// once, when nothing more is read.
func (s *Spoke) leave() {
	h := s.hub
	s.shard.remove(s)
	h.exit(s)
	h.forget(s)
	h.pace.unparked(s)
	undelivered := s.undelivered()
	s.inbox.release()
	s.mu.Lock()
	late := s.late
	s.late = nil
	s.mu.Unlock()
	for _, d := range late {
		d.skipped(s.inbox.losses())
	}
	reason, _ := s.Reason()
	if s.session != nil {
		if n := s.session.release(); !orderly(reason) {
			undelivered += n
		}
	}
	switch {
	case !orderly(reason):
		h.ReportFault(eventtarget.Fault{
			Kind: eventtarget.FaultDisconnected, Peer: s.ID(), Count: undelivered, Err: reason,
		})
	case undelivered > 0 && !reason.Remote && h.ctx.Err() == nil: // the hub's Close told it
		h.ReportFault(eventtarget.Fault{
			Kind: eventtarget.FaultDiscarded, Peer: s.ID(), Count: undelivered, Err: reason,
		})
	}
	h.disconnected(s, reason)
	s.mu.Lock()
	s.gone = true
	r := s.registry.Load()
	s.mu.Unlock()
	if r != nil {
		r.Close()
	}
	s.mu.Lock()
	s.done = true
	if s.release != nil {
		close(s.release)
	}
	s.mu.Unlock()
	h.mu.Lock()
	close(h.left)
	h.left = make(chan struct{})
	h.mu.Unlock()
}

// orderly tells whether a connection ended as somebody wanted it to.
func orderly(r eventtarget.Reason) bool {
	switch r.Code {
	case eventtarget.CodeNormal, eventtarget.CodeGoingAway, eventtarget.CodeRestart:
		return true
	}
	return false
}
