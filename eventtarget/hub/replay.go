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
// new, since it came; of those that it has added, and if it is new of all, behind what was retained.
// It is false if a snapshot is to have that. Inside the log's Update.
func (s *Spoke) replayFirst(u framelog.Update, topics, added []eventtarget.Topic) bool {
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
		s.beginWith(topics, at)
	} else {
		s.beginWith(added, at)
	}
	return s.replay(u, at, topics, resumes)
}

// replay puts what the spoke's topics brought behind a place, which the log has, into its inbox. It
// is false if that is too much, and a snapshot is to have it. What was retained before the place the
// spoke has got, unless it resumes there. Inside the log's Update.
func (s *Spoke) replay(u framelog.Update, at framelog.Position, topics []eventtarget.Topic, resumes bool) bool {
	begin := at
	var missed []item
	for at != u.Head() {
		run, ok := u.Read(at, u.Head())
		if !ok {
			return true // it cannot be
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
	cut := s.tooMuch(missed)
	if cut > 0 && s.hub.opts.Snapshot != nil {
		s.post(item{at: begin, msg: s.gapMessage(0)})
		return false
	}
	if cut > 0 {
		var got framelog.Position
		if !resumes {
			got = begin
		}
		s.beginBehind(missed[:cut], missed[cut:], topics, got)
	}
	for _, i := range missed[cut:] {
		s.post(i)
	}
	return true
}

// beginBehind tells a spoke that comes back what it has no room for, and what is retained up to
// the rest, as one gets that is new there, but for what it has got.
func (s *Spoke) beginBehind(lost, rest []item, topics []eventtarget.Topic, got framelog.Position) {
	at := lost[len(lost)-1].msg.after
	if len(rest) > 0 {
		at = rest[0].at
	}
	kept := s.hub.retained.between(topics, got, at)
	count, cut := uint64(len(lost)), tooMany(kept, s.room(1, 0))
	if cut > 0 {
		count = 0
	}
	s.post(item{at: lost[0].at, msg: s.gapMessage(count)})
	for _, i := range kept[cut:] {
		s.post(i)
	}
}

// fitting returns the last items that find room in the inbox with some to spare, behind
// a gap for the others.
func (s *Spoke) fitting(missed []item) []item {
	cut := s.tooMuch(missed)
	if cut == 0 {
		return missed
	}
	return append([]item{{at: missed[0].at, msg: s.gapMessage(uint64(cut))}}, missed[cut:]...)
}

// tooMuch is tooMany for what was missed, which is to leave room for more.
func (s *Spoke) tooMuch(missed []item) (cut int) {
	if waits, _ := s.inbox.waiting(); waits == 0 && len(missed) == 1 {
		return 0 // an empty inbox has room for anything
	}
	return tooMany(missed, s.room(2, 1))
}

// space is how many messages, and bytes of them, may yet come.
type space struct{ count, bytes int }

// room is so many quarters of the inbox, or what is left there beside what waits, a gap and some
// more quarters that are for others, if that is less.
func (s *Spoke) room(quarters, others int) space {
	const gap = 128
	count, bytes := s.hub.opts.SpokeEvents, s.hub.opts.SpokeBytes
	waits, size := s.inbox.waiting()
	return space{
		min(count*quarters/4, count-waits-count*others/4-1),
		min(bytes*quarters/4, bytes-size-bytes*others/4-gap),
	}
}

// tooMany returns how many items there are before the last ones that there is room for.
func tooMany(items []item, room space) (cut int) {
	for cut = len(items); cut > 0; cut-- {
		if room.count, room.bytes = room.count-1, room.bytes-len(items[cut-1].msg.bytes); room.count < 0 || room.bytes < 0 {
			break
		}
	}
	return cut
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
