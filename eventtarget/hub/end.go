package hub

import (
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

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
