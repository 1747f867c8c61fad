package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// session is what a spoke keeps beyond its connections. Messages are numbered on both
// sides by counting them, in the order in which they stand in the connection: a number
// costs nothing on the wire, and never depends on what users send. What was sent and is
// not acknowledged is remembered as stretches of the log and messages of the spoke's
// own, so that a broadcast costs a session nothing but moving the end of a stretch.
//
// A peer that comes back says how much it has received. What was sent behind that it
// has not seen and never will, so it is sent anew under the same numbers, or is told as
// a gap and has none.
type session struct {
	id     string
	window int           // how many bytes may be unacknowledged
	own    atomic.Bool   // the store knows that the spoke was sent something of its own
	try    atomic.Uint64 // which of the peer's attempts to resume it holds

	// Of the peer's messages:
	in        atomic.Uint64 // received; changed under Spoke.receiving, or by passOn
	reported  atomic.Uint64 // of those, acknowledged
	reporting uint64        // in the acknowledgement that is being written; the writer's
	ackDue    atomic.Bool
	ackTimer  atomic.Bool // runs

	mu      sync.Mutex
	sent    uint64
	acked   uint64
	claimed uint64 // acknowledged, perhaps before the writer has noted that it was sent
	unacked []sent
	bytes   int  // of unacked
	blocked bool // the writer waits for an acknowledgement
	watched bool // see watch: while it does

	again []sent // to be sent anew, before anything else; the writer's, but for release

	expiry *time.Timer // while down: under Spoke.mu
}

// sent is something that was sent: messages of the log, one of the spoke's own, or a
// mark, which is no message.
type sent struct {
	from  uint64            // the number of the first message in the log
	to    framelog.Position // behind the last one
	bytes int
	msg   *message
	mark  func()
}

func (t *sent) count() uint64 {
	switch {
	case t.mark != nil:
		return 0
	case t.msg != nil:
		return 1
	default:
		return t.to.Seq - t.from
	}
}

// incoming is a connection that a session is to go on with.
type incoming struct {
	att      *attachment
	received uint64
}

// first returns what a session has to write before anything else. wait means that
// nothing may be written now. The writer's.
func (s *Spoke) first() (p piece, wait bool) {
	x := s.session
	if x.ackDue.Load() {
		x.reporting = x.in.Load()
		m := s.hub.control(wire.Ack, "", wire.AckPayload{Received: x.reporting})
		return piece{messages: []*message{m}, bytes: m.bytes, kind: acknowledgement}, false
	}
	if s.full() {
		return piece{}, true
	}
	for t := x.next(); t != nil; t = x.next() {
		switch {
		case t.mark != nil:
			if mark := *t; x.popAgain() {
				x.note(mark)
			}
		case t.msg != nil:
			return piece{messages: []*message{t.msg}, bytes: t.msg.bytes, kind: repeated}, false
		default:
			if at, ok := s.hub.log.Find(t.from); ok {
				if run, ok := s.hub.log.Read(at, t.to); ok {
					return piece{run: run, bytes: run.Bytes, kind: repeated}, false
				}
			}
			s.missed()
		}
	}
	return piece{}, false
}

// install begins to write to a connection that the session goes on with. The
// sweeper's.
func (s *Spoke) install() {
	if s.incoming.Load() == nil {
		return
	}
	in := s.incoming.Swap(nil)
	s.out = in.att
	if !s.session.rollBack(in.received) {
		s.end(eventtarget.Reason{Code: eventtarget.CodeProtocol, Text: "received more than was sent"})
		return
	}
	s.hub.pace.unparked(s)
	if tail := s.hub.log.Tail(); s.following.Load() && s.at.Offset < tail.Offset {
		s.inbox.fellBehind(s.at, tail)
		s.moved(tail)
	}
	s.missed()
}

// missed tells the peer what it has lost, of what was to be sent anew and otherwise,
// before anything else.
func (s *Spoke) missed() {
	x := s.session
	if lost := x.forget(s.hub.log.Tail().Seq); lost > 0 {
		s.inbox.missed(lost)
	}
	if n := s.inbox.gap(); n > 0 {
		s.inbox.told(n)
		x.mu.Lock()
		x.again = append([]sent{{msg: s.gapMessage(n)}}, x.again...)
		x.mu.Unlock()
	}
}

// forget takes what the log has lost out of what is to be sent anew, and tells how
// much that was.
func (x *session) forget(tail uint64) (lost uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	kept := x.again[:0:0]
	for _, t := range x.again {
		if t.msg == nil && t.mark == nil && t.from < tail {
			n := min(tail, t.to.Seq) - t.from
			lost += n
			t.from += n
		}
		if t.msg != nil || t.mark != nil || t.from < t.to.Seq {
			kept = append(kept, t)
		}
	}
	x.again = kept
	return lost
}

// next returns what is to be sent anew next, and popAgain takes that out: it is false if
// release has, for the spoke leaves.
func (x *session) next() *sent {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.again) == 0 {
		x.again = nil
		return nil
	}
	return &x.again[0]
}

func (x *session) popAgain() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.again) == 0 {
		return false
	}
	x.again = x.again[1:]
	return true
}

// wroteAgain notes that something was sent anew, up to a place in the log if it stands
// there. The writer's.
func (x *session) wroteAgain(to framelog.Position) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.again) == 0 {
		return // the spoke is gone
	}
	if t := &x.again[0]; t.msg == nil && to.Seq < t.to.Seq {
		t.from = to.Seq
	} else {
		x.again = x.again[1:]
	}
}

// rollBack forgets that anything was sent behind what the peer has received. It is
// false if that cannot be.
func (x *session) rollBack(received uint64) bool {
	x.ack(received)
	x.mu.Lock()
	defer x.mu.Unlock()
	if received > x.sent || received < x.acked {
		return false
	}
	x.again = append(x.unacked, x.again...)
	x.unacked, x.bytes, x.blocked = nil, 0, false
	x.sent, x.claimed = received, received
	return true
}

// note notes what was sent, or a mark: that is done when everything before it is
// acknowledged. The writer's.
func (x *session) note(t sent) {
	x.mu.Lock()
	x.sent += t.count()
	x.bytes += t.bytes
	if n := len(x.unacked); n > 0 && t.follows(x.unacked[n-1]) {
		x.unacked[n-1].to = t.to
		x.unacked[n-1].bytes += t.bytes
	} else {
		x.unacked = append(x.unacked, t)
	}
	marks := x.trim()
	x.mu.Unlock()
	tell(marks)
}

// follows tells whether both are one stretch of the log.
func (t *sent) follows(before sent) bool {
	return t.msg == nil && t.mark == nil && before.msg == nil && before.mark == nil && before.to.Seq == t.from
}

// full tells whether so much is unacknowledged that the writer has to wait. While it
// does, the spoke counts as one that is being written to.
func (s *Spoke) full() bool {
	x := s.session
	x.mu.Lock()
	before := x.blocked
	x.blocked = before || x.bytes >= x.window
	blocked := x.blocked
	watch := blocked && !x.watched && s.inbox.overflow() == eventtarget.Block
	x.watched = x.watched || watch
	x.mu.Unlock()
	if blocked && !before {
		s.relieve(s.out, s.out.turn.Load()) // or acknowledgements may wait behind an Inline listener
		s.hub.pace.parked(s)
		if !s.has(s.out) { // detach or end has not seen it
			s.hub.pace.unparked(s)
		}
	}
	if watch {
		s.watch(x.stillBlocked, eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "acknowledged nothing in time"})
	}
	return blocked
}

func (x *session) isBlocked() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.blocked
}

// stillBlocked is isBlocked for watch, which ends when it is false.
func (x *session) stillBlocked() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.watched = x.blocked
	return x.blocked
}

// watch ends a spoke that acknowledges nothing for WriteTimeout while it should.
func (s *Spoke) watch(should func() bool, r eventtarget.Reason) {
	x := s.session
	acked := func() uint64 {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.acked
	}
	before := acked()
	time.AfterFunc(s.hub.opts.WriteTimeout, func() {
		switch {
		case s.ctx.Err() != nil || !should():
		case acked() == before:
			s.end(r)
		default:
			s.watch(should, r)
		}
	})
}

// atOnce returns how many bytes of messages may be taken out of the inbox.
func (s *Spoke) atOnce() int {
	x := s.session
	if x == nil {
		return batch
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return max(1, min(batch, x.window-x.bytes))
}

// expire makes the session end unless its peer comes back in time. Under Spoke.mu.
func (x *session) expire(s *Spoke, reason eventtarget.Reason) {
	x.expiry = time.AfterFunc(s.hub.opts.SessionTimeout, func() { s.endIf(reason, func() bool { return s.att == nil }) })
}

// release gives up what is not acknowledged, and returns how much that is.
func (x *session) release() (unacked uint64) {
	x.mu.Lock()
	var marks []func()
	for _, t := range append(x.unacked, x.again...) {
		unacked += t.count()
		if t.mark != nil {
			marks = append(marks, t.mark)
		}
	}
	x.unacked, x.again, x.bytes = nil, nil, 0
	x.mu.Unlock()
	tell(marks)
	return unacked
}

// newer tells that the session is its peer's in a later attempt to resume it than this one.
func (x *session) newer(try uint64) bool { return try > 0 && try < x.try.Load() }
