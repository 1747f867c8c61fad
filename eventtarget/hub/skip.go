package hub

import (
	"slices"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// foldAfter is with how many items an inbox first looks for skips that can be folded.
const foldAfter = 4096

// skip appends a skip, or lengthens the last item if that is one that ends there. What is
// before tail has left the log.
func (b *inbox) skip(from, to, tail framelog.Position) {
	b.mu.Lock()
	defer b.unlock()
	if b.ended {
		return // nothing is written there any more
	}
	if n := len(b.items); n > 0 && b.items[n-1].skips() && b.items[n-1].do.to == from {
		b.items[n-1].do.to = to
		return
	}
	b.items = append(b.items, item{at: from, do: &step{kind: doSkip, to: to}})
	if len(b.items) >= max(b.foldAt, foldAfter) {
		b.fold(tail)
		b.foldAt = 2 * len(b.items) // so that each item is looked at a few times only
	}
}

// passesOver tells whether the message at a place is one to skip.
func (b *inbox) passesOver(at framelog.Position) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.items, func(i item) bool {
		return i.skips() && i.at.Offset <= at.Offset && at.Offset < i.do.to.Offset
	})
}

func (i *item) skips() bool { return i.do != nil && i.do.kind == doSkip }

// fold makes one of the skips that follow each other and end before the log's tail: a spoke
// that is there has lost what lies between them. It stays an item, for the spoke's writer may
// hold a stretch of the log that leads there.
func (b *inbox) fold(tail framelog.Position) {
	var into *item // the one before
	for n := range b.items {
		i := &b.items[n]
		switch {
		case i.msg == nil && i.do == nil: // superseded
		case !i.skips() || i.do.to.Offset > tail.Offset:
			into = nil
		case i.do.to.Offset <= b.fallen.Offset: // the spoke is behind it
			i.do = nil
			b.dead++
		case into == nil:
			into = i
			if i.at.Offset < b.fallen.Offset {
				i.at = b.fallen
			}
		default:
			into.do.lost += i.at.Seq - into.do.to.Seq + i.do.lost
			into.do.to = i.do.to
			i.do = nil
			b.dead++
		}
	}
	b.compact()
}

// fellBehind notes that the log has lost what was there for the spoke up to tail,
// but for what it was to skip, and what came while it was not to follow the log.
func (b *inbox) fellBehind(at, tail framelog.Position) {
	b.mu.Lock()
	defer b.unlock()
	lost := tail.Seq - at.Seq
	but := func(from, to uint64) (some bool) {
		from, to = max(from, at.Seq), min(to, tail.Seq)
		if some = from < to; some {
			lost -= to - from
		}
		return some
	}
	left, away := uint64(0), false
	for _, i := range b.items {
		switch {
		case i.do == nil:
		case i.do.kind == doLeave:
			left, away = i.at.Seq, true
		case i.do.kind == doFollow && away:
			but(left, i.do.to.Seq)
			away = false
		case i.skips() && but(i.at.Seq, i.do.to.Seq):
			lost += i.do.lost
			i.do.lost = 0 // it is told now
		}
	}
	if away {
		but(left, tail.Seq)
	}
	b.lost += lost
	b.untold += lost
	b.fallen = tail
}

// skip goes on behind a skip.
func (s *Spoke) skip(d *step) {
	switch {
	case !s.following.Load(): // what it asks for one day may begin before
	case d.to.Offset <= s.at.Offset: // the log has lost it, and more
	case d.lost > 0 && s.mustNotFall():
	default:
		s.inbox.missed(d.lost)
		s.moved(d.to)
	}
}

// fellOff sees to a spoke whose place has left the log, as its policy says.
func (s *Spoke) fellOff() {
	if s.mustNotFall() {
		return
	}
	tail := s.hub.log.Tail()
	s.inbox.fellBehind(s.at, tail)
	s.moved(tail)
}

// mustNotFall ends a spoke that has lost something in the log, unless its policy allows that.
func (s *Spoke) mustNotFall() bool {
	if s.inbox.overflow() == eventtarget.DropOldest {
		return false
	}
	s.end(eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "fell off the log"})
	return true
}
