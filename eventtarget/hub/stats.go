package hub

import (
	"maps"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// Stats are counters since the hub began.
type Stats struct {
	// Ignored counts control messages that the hub does not know.
	Ignored uint64
	// Malformed counts messages that were no envelopes.
	Malformed uint64
	// Refused counts events that Authorize refused.
	Refused uint64
}

// Stats returns the counters.
func (h *Hub) Stats() Stats {
	return Stats{
		Ignored: h.stats.ignored.Load(), Malformed: h.stats.malformed.Load(), Refused: h.stats.refused.Load(),
	}
}

// SpokeStats is how a spoke stands.
type SpokeStats struct {
	Connected time.Time // when it was attached
	LastHeard time.Time // when it last sent a message; zero: never
	Received  uint64    // messages from it
	Sent      uint64    // messages that its connection took
	Lost      uint64    // events that its policy dropped, or that the log lost
	Conflated uint64    // events that a later one on their topic took the place of
	Gaps      uint64    // how often it was told that something is missing
	Resumed   uint64    // how often it went on where it had been, over another connection
	// Waiting is how many events are still to be sent, and Bytes the size of those
	// that wait for it alone.
	Waiting uint64
	Bytes   int
}

// Stats returns how the spoke stands.
func (s *Spoke) Stats() SpokeStats {
	st := SpokeStats{Connected: time.Unix(0, s.since), Received: s.received.Load(), Sent: s.sent.Load(), Waiting: s.undelivered(),
		Gaps: uint64(s.gaps.Load()), Resumed: uint64(s.resumed.Load())}
	if ns := s.lastHeard.Load(); ns != 0 {
		st.LastHeard = time.Unix(0, ns)
	}
	s.inbox.mu.Lock()
	defer s.inbox.mu.Unlock()
	st.Lost, st.Conflated, st.Bytes = s.inbox.lost, s.inbox.conflated, s.inbox.bytes
	return st
}

// undelivered returns how many events the spoke has not got.
func (s *Spoke) undelivered() uint64 {
	n := uint64(s.inFlight.Load())
	s.inbox.mu.Lock()
	n += uint64(s.inbox.count)
	s.inbox.mu.Unlock()
	if s.following.Load() {
		if head, at := s.hub.log.Head().Seq, s.writtenSeq.Load(); head > at {
			n += head - at
		}
	}
	return n
}

// Subscriptions returns what the spoke listens to: the topics that it subscribed
// to, or "*" if it never did and hears everything.
func (s *Spoke) Subscriptions() []eventtarget.Topic {
	var topics []eventtarget.Topic
	s.hub.log.Update(func(framelog.Update) {
		topics = slices.Collect(maps.Keys(s.topics))
		if s.topics == nil && s.everything {
			topics = []eventtarget.Topic{everything}
		}
	})
	return topics
}
