package hub

import (
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// batch bounds how many bytes of messages for one spoke alone go into one write.
const batch = 64 << 10

// piece is the next thing that a spoke's writer has to write: a stretch of the log,
// or messages that stand elsewhere.
type piece struct {
	run      framelog.Run
	messages []*message // taken out of the inbox; the spoke's taken
	bytes    []byte     // nil: up to date, or ended
	kind     pieceKind
}

type pieceKind uint8

const (
	fresh           pieceKind = iota
	repeated                  // sent before, over another connection
	acknowledgement           // of what the peer sent: has no number in the session
)

// writer is what the one goroutine that writes to a spoke at a time needs for it.
type writer struct {
	run     framelog.Run      // what the last spoke at the head of the sweep read
	upto    framelog.Position // as far as it wanted to
	joined  *framelog.Joined  // of a sweeper, whose spokes share what is copied; else nil
	scratch []byte            // several messages in one piece
	encoded []*encoded        // the last stretches that foreign encodings wrote
}

// next finds out what is to be written next, with nothing from behind head: an
// item that is put in later has a place behind it. Most spokes need what another
// has read before.
func (s *Spoke) next(head framelog.Position, w *writer) piece {
	for !s.ending.Load() && !s.out.broken {
		if s.session != nil {
			if p, wait := s.first(); wait || p.bytes != nil {
				return p
			}
		}
		if len(s.taken) > 0 {
			return s.pieceOf(w)
		}
		var at framelog.Position
		found := false
		if s.inbox.some.Load() {
			var untold uint64
			if at, found, untold = s.inbox.next(head); untold > 0 {
				s.inbox.told(untold)
				s.taken = append(s.taken, s.gapMessage(untold))
				continue
			}
		}
		if s.following.Load() {
			upto := head
			if found {
				upto = at
			}
			if s.at.Offset < upto.Offset {
				if p, ok := s.stretch(upto, w); ok {
					return p
				}
				continue
			}
		}
		if !found {
			return piece{}
		}
		due := head
		if s.following.Load() {
			due = s.at
		}
		taken, do := s.inbox.take(s.taken, due, s.atOnce())
		s.taken = taken
		s.inFlight.Store(int64(len(taken)))
		if do != nil {
			if do.kind == doHold {
				return piece{}
			}
			s.do(do)
		}
	}
	return piece{}
}

// do does the step of an item.
func (s *Spoke) do(d *step) {
	switch d.kind {
	case doSkip:
		s.skip(d)
	case doFollow:
		s.following.Store(true)
		if d.to.Offset > s.at.Offset { // else the log has lost it, and more
			s.moved(d.to)
		}
	case doLeave:
		s.leaveLog()
	case doClose:
		if s.session == nil {
			s.end(d.reason)
			return
		}
		s.leaveLog() // what is dispatched from now on is not for it
		// Once all is acknowledged: what the peer has not taken in by then is lost.
		s.session.note(sent{mark: func() { s.end(d.reason) }})
		s.watch(func() bool { return true }, d.reason)
	case doMark:
		mark := func() { d.mark(s.inbox.losses()) }
		if s.session == nil {
			mark()
		} else {
			s.session.note(sent{mark: mark})
		}
	}
}

func (s *Spoke) leaveLog() {
	s.following.Store(false)
	s.hub.pace.unparked(s)
}

// stretch returns a stretch of the log. It is false when the spoke's place has left
// the log: then the spoke was ended, or moved on.
func (s *Spoke) stretch(upto framelog.Position, w *writer) (piece, bool) {
	// All that this spoke lacks, too, or all that is read at once.
	whole := w.run.To == upto || w.run.To.Offset < min(w.upto.Offset, upto.Offset)
	if w.run.From == s.at && whole && len(w.run.Bytes) > 0 {
		return piece{run: w.run, bytes: w.run.Bytes}, true
	}
	run, ok := w.read(s.hub.log, s.at, upto)
	if !ok {
		s.fellOff()
		return piece{}, false
	}
	w.run, w.upto = run, upto
	return piece{run: run, bytes: run.Bytes}, true
}

// read reads on in the log, as far as one write is to go. A segment that ends in the
// middle of what everybody lacks would cost each of them another one.
func (w *writer) read(l *framelog.Log, at, upto framelog.Position) (framelog.Run, bool) {
	if w.joined != nil {
		return w.joined.Read(l, at, upto)
	}
	return l.Read(at, upto)
}

// pieceOf returns the messages that were taken.
func (s *Spoke) pieceOf(w *writer) piece {
	if len(s.taken) == 1 {
		return piece{messages: s.taken, bytes: s.taken[0].bytes}
	}
	w.scratch = w.scratch[:0]
	for _, m := range s.taken {
		w.scratch = append(w.scratch, m.bytes...)
	}
	return piece{messages: s.taken, bytes: w.scratch}
}

// wrote notes that n bytes of a piece were taken: whole frames.
func (s *Spoke) wrote(p piece, n int) {
	switch {
	case p.messages == nil:
		to := p.run.To
		if n < len(p.bytes) {
			to = p.run.After(n)
		}
		s.passed(p.kind, p.run.From, to)
	case n == 0:
	case p.kind == acknowledgement:
		s.wroteAck()
	case p.kind == repeated:
		s.session.note(sent{msg: p.messages[0], bytes: n})
		s.session.wroteAgain(framelog.Position{})
		s.sent.Add(1)
	default:
		done := 0
		for ; done < len(s.taken) && n >= len(s.taken[done].bytes); done++ {
			n -= len(s.taken[done].bytes)
		}
		s.finished(done)
	}
}

// passed notes that a stretch of the log was taken.
func (s *Spoke) passed(kind pieceKind, from, to framelog.Position) {
	if from == to {
		return
	}
	s.sent.Add(to.Seq - from.Seq)
	if s.session != nil {
		s.session.note(sent{from: from.Seq, to: to, bytes: int(to.Offset - from.Offset)})
	}
	if kind == repeated {
		s.session.wroteAgain(to)
	} else {
		s.moved(to)
	}
}

// finished forgets the first n messages that were taken out of the inbox.
func (s *Spoke) finished(n int) {
	s.sent.Add(uint64(n))
	if s.session != nil {
		for _, m := range s.taken[:n] {
			s.session.note(sent{msg: m, bytes: len(m.bytes)})
		}
	}
	rest := copy(s.taken, s.taken[n:])
	clear(s.taken[rest:])
	s.taken = s.taken[:rest]
	s.inFlight.Store(int64(rest))
	if rest == 0 {
		s.taken = nil // an idle spoke holds nothing
	}
}

// moved sets how far the spoke is.
func (s *Spoke) moved(to framelog.Position) {
	s.at = to
	s.written.Store(to.Offset)
	s.writtenSeq.Store(to.Seq)
}

// position returns how far the spoke is, to others than its writer. The two halves
// may be of different moments, which are close.
func (s *Spoke) position() framelog.Position {
	return framelog.Position{Offset: s.written.Load(), Seq: s.writtenSeq.Load()}
}

// gapMessage tells a spoke that it has lost n events.
func (s *Spoke) gapMessage(n uint64) *message {
	s.gaps.Add(1)
	return s.hub.control(wire.Gap, "", wire.GapPayload{Count: n})
}
