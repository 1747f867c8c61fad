package hub

import (
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// step is the next thing that a spoke's writer has to do.
type step struct {
	kind  stepKind
	run   framelog.Run // stepRun
	frame frame        // stepFrame
}

type stepKind uint8

const (
	stepNone  stepKind = iota // up to date, or ended
	stepRun                   // write a stretch of the log
	stepFrame                 // write a frame that is for this spoke alone
)

func (st step) bytes() []byte {
	if st.kind == stepFrame {
		return st.frame.bytes
	}
	return st.run.Bytes
}

// next finds out what is to be written next, with nothing from behind head: an
// item that is put in later has a place behind it. last is what another spoke
// read before; most spokes need the same.
func (s *Spoke) next(head framelog.Position, last *framelog.Run) step {
	for {
		if s.ctx.Err() != nil {
			return step{}
		}
		it, found := s.inbox.first(head)
		upto := head
		if found {
			upto = it.at
		}
		if s.at.Offset < upto.Offset {
			if last.From == s.at && last.To.Offset <= upto.Offset && len(last.Bytes) > 0 {
				return step{kind: stepRun, run: *last}
			}
			run, ok := s.hub.log.Read(s.at, upto)
			if !ok {
				s.fellOff()
				return step{}
			}
			*last = run
			return step{kind: stepRun, run: run}
		}
		switch {
		case !found:
			return step{}
		case it.frame.bytes != nil:
			return step{kind: stepFrame, frame: it.frame}
		}
		it = s.inbox.shift()
		if it.close != nil {
			s.end(*it.close)
			return step{}
		}
		s.moved(it.skipTo)
	}
}

// wrote notes that n bytes of a step were taken: whole frames.
func (s *Spoke) wrote(st step, n int) {
	switch {
	case n < len(st.bytes()) && (n == 0 || st.kind == stepFrame):
	case st.kind == stepFrame:
		s.inbox.shift()
	case n == len(st.run.Bytes):
		s.moved(st.run.To)
	default:
		s.moved(st.run.After(n))
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

// undelivered returns how many events the spoke has not got.
func (s *Spoke) undelivered() uint64 {
	n := uint64(s.inbox.waiting())
	if head, at := s.hub.log.Head().Seq, s.writtenSeq.Load(); head > at {
		n += head - at
	}
	return n
}

// fellOff ends a spoke whose place has left the log.
func (s *Spoke) fellOff() {
	s.end(eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "fell off the log"})
}

// park hands the spoke to a goroutine of its own, which may wait.
func (s *Spoke) park() {
	s.parked.Store(true)
	s.hub.pace.parked(s)
	s.hub.wg.Go(s.catchUp)
}

// catchUp writes what a parked spoke lacks and hands it back to the sweeper.
func (s *Spoke) catchUp() {
	stalled := time.AfterFunc(s.hub.opts.WriteTimeout, func() {
		s.end(eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "took nothing in time"})
	})
	defer stalled.Stop()
	progress := func() {
		stalled.Reset(s.hub.opts.WriteTimeout)
		s.hub.pace.progressed()
	}
	s.writeOut(progress)
	s.hub.pace.unparked(s)
	s.parked.Store(false)
	s.shard.mark(s) // for what came in between
}

func (s *Spoke) writeOut(progress func()) {
	if s.frames != nil {
		if err := s.frames.WriteFrames(nil); err != nil { // what the sweeper's last write left
			s.end(reasonOf(err))
			return
		}
	}
	var run framelog.Run
	for {
		st := s.next(s.hub.log.Head(), &run)
		if st.kind == stepNone {
			return
		}
		if !s.write(st, progress) {
			return
		}
		progress()
	}
}

// write does a step and waits for it.
func (s *Spoke) write(st step, progress func()) bool {
	if s.frames == nil {
		return s.send(st, progress)
	}
	if err := s.frames.WriteFrames(st.bytes()); err != nil {
		s.end(reasonOf(err))
		return false
	}
	s.wrote(st, len(st.bytes()))
	return true
}

// send does a step on a connection that takes messages one by one.
func (s *Spoke) send(st step, progress func()) bool {
	if st.kind == stepFrame {
		if err := s.conn.Send(st.frame.bytes[st.frame.header:]); err != nil {
			s.end(reasonOf(err))
			return false
		}
		s.inbox.shift()
		return true
	}
	ok := true
	st.run.Messages(func(msg []byte, after framelog.Position) bool {
		if err := s.conn.Send(msg); err != nil {
			s.end(reasonOf(err))
			ok = false
			return false
		}
		s.moved(after)
		progress()
		return true
	})
	return ok
}
