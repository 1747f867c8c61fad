package hub

import (
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// missedSince tells a spoke that resumes from a position what the log no longer has, if that
// is anything. Inside the log's Update.
func (s *Spoke) missedSince(u framelog.Update, since Position, filtered bool) bool {
	tail := u.Tail()
	switch {
	case !since.lost && since.at.Offset >= tail.Offset:
		return false
	case since.lost || filtered: // how much of it the spoke would have heard, nobody knows
		s.post(item{at: s.at, msg: s.gapMessage(0)})
	default:
		s.inbox.fellBehind(since.at, tail)
	}
	if since.at.Offset < tail.Offset {
		s.moved(tail)
	}
	return true
}

// replayFirst sends the spoke what its first topics have brought since it was away or, if it is
// new, since it came. It is false if a snapshot is to have that. Inside the log's Update.
func (s *Spoke) replayFirst(u framelog.Update, topics []eventtarget.Topic) bool {
	if s.left != nil {
		s.replayStored(u)
		return true
	}
	at, resumes := s.at, s.resumes
	if tail := u.Tail(); at.Offset < tail.Offset { // since it began: it asks late, or Authorize takes its time
		s.post(item{at: at, msg: s.gapMessage(0)})
		at, resumes = tail, false
		if s.hub.opts.Snapshot != nil {
			return false
		}
	}
	if !resumes {
		for _, t := range topics {
			s.hub.retained.replay(s, t, at)
		}
	}
	s.replay(u, at)
	return true
}

// replay puts what the spoke's topics brought behind a place, which the log has, into its inbox.
// Inside the log's Update.
func (s *Spoke) replay(u framelog.Update, at framelog.Position) {
	var missed []item
	for at != u.Head() {
		run, ok := u.Read(at, u.Head())
		if !ok {
			return // it cannot be
		}
		run.Messages(func(msg []byte, after framelog.Position) bool {
			from := at
			at = after
			m, err := wire.Decode(msg, s.hub.opts.Limits)
			if err != nil {
				return true // it cannot be: it was encoded or checked here
			}
			if topic := (eventtarget.Topic{Type: m.Type, ID: m.ID}); s.wants(topic) && !s.inbox.passesOver(from) {
				m := s.hub.message(topic, msg)
				m.after = after
				missed = append(missed, item{at: from, msg: m})
			}
			return true
		})
	}
	for _, i := range s.fitting(missed) {
		s.post(i)
	}
}

// fitting returns the last items that find room in the inbox with some to spare, behind
// a gap for the others.
func (s *Spoke) fitting(missed []item) []item {
	bytes, first := 0, len(missed)
	for first > 0 && len(missed)-first < s.hub.opts.SpokeEvents/2 && bytes < s.hub.opts.SpokeBytes/2 {
		first--
		bytes += len(missed[first].msg.bytes)
	}
	if first == 0 {
		return missed
	}
	return append([]item{{at: missed[0].at, msg: s.gapMessage(uint64(first))}}, missed[first:]...)
}

// wants tells whether the spoke has subscribed to an event's topic. Inside the log's
// Update.
func (s *Spoke) wants(topic eventtarget.Topic) bool {
	for t := range s.topics {
		if t.Matches(topic) {
			return true
		}
	}
	return false
}
