package hub

import (
	"time"
)

const (
	// ackEvery and ackAfter are how many messages are acknowledged at once, and how
	// long the first of them waits for that.
	ackEvery = 64
	ackAfter = 25 * time.Millisecond
)

// took counts a message of the peer's, and sees to its acknowledgement.
func (s *Spoke) took() {
	x := s.session
	if n := x.in.Add(1); n-x.reported.Load() >= ackEvery {
		s.acknowledge()
	} else {
		s.acknowledgeSoon()
	}
}

func (s *Spoke) acknowledgeSoon() {
	if x := s.session; x.ackTimer.CompareAndSwap(false, true) {
		time.AfterFunc(ackAfter, func() {
			x.ackTimer.Store(false)
			s.acknowledge()
		})
	}
}

// acknowledge makes the writer send an acknowledgement.
func (s *Spoke) acknowledge() {
	if x := s.session; x.in.Load() != x.reported.Load() && x.ackDue.CompareAndSwap(false, true) {
		s.shard.mark(s)
	}
}

// wroteAck notes that an acknowledgement was sent. The writer's.
func (s *Spoke) wroteAck() {
	x := s.session
	x.reported.Store(x.reporting)
	x.ackDue.Store(false)
	if x.in.Load() != x.reporting { // somebody may have asked in vain meanwhile
		s.acknowledgeSoon()
	}
}

// ack notes that the peer has received all up to a number. It tells whether the
// writer waited for that.
func (x *session) ack(received uint64) (awaited bool) {
	x.mu.Lock()
	x.claimed = max(x.claimed, received)
	marks := x.trim()
	if x.blocked && x.bytes <= x.window/2 {
		x.blocked, awaited = false, true
	}
	x.mu.Unlock()
	tell(marks)
	return awaited
}

func tell(marks []func()) {
	for _, mark := range marks {
		mark()
	}
}

// trim forgets what was acknowledged and returns the marks behind that. Under mu.
func (x *session) trim() (marks []func()) {
	for len(x.unacked) > 0 {
		t := &x.unacked[0]
		n, left := t.count(), min(x.claimed, x.sent)-x.acked
		switch {
		case n > left && left == 0:
			return marks
		case n > left: // a part of it
			size := int(uint64(t.bytes) * left / n)
			t.from += left
			t.bytes -= size
			x.bytes -= size
			x.acked += left
			return marks
		case t.mark != nil:
			marks = append(marks, t.mark)
		}
		x.acked += n
		x.bytes -= t.bytes
		*t = sent{}
		x.unacked = x.unacked[1:]
	}
	x.unacked, x.bytes = nil, 0 // an idle session holds nothing
	return marks
}

// acknowledged handles an acknowledgement of the peer's.
func (s *Spoke) acknowledged(received uint64) {
	if s.session.ack(received) {
		s.shard.mark(s) // and it is waited for until it has caught up
	}
	s.hub.pace.progressed()
}
