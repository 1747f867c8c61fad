package hub

import (
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// park hands the spoke to a goroutine of its own, which may wait.
func (s *Spoke) park() {
	s.parked.Store(true)
	s.hub.pace.parked(s)
	s.hub.wg.Go(s.catchUp)
}

// catchUp writes what a parked spoke lacks and hands it back to the sweeper.
func (s *Spoke) catchUp() {
	out := s.out
	stalled := time.AfterFunc(s.hub.opts.WriteTimeout, func() {
		s.lost(out, eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "took nothing in time"})
	})
	defer stalled.Stop()
	progress := func() {
		stalled.Reset(s.hub.opts.WriteTimeout)
		s.hub.pace.progressed()
	}
	s.writeOut(out, progress)
	if s.session == nil || s.at.Offset >= s.hub.log.Head().Offset { // else it is still waited for
		s.hub.pace.unparked(s)
	}
	s.parked.Store(false)
	s.shard.mark(s) // for what came in between
}

// writeOut writes to one connection.
func (s *Spoke) writeOut(out *attachment, progress func()) {
	if out.frames != nil {
		if err := out.frames.WriteFrames(nil); err != nil { // what the sweeper's last write left
			s.lost(out, reasonOf(err))
			return
		}
	}
	var w writer
	for s.incoming.Load() == nil {
		p := s.next(s.hub.log.Head(), &w)
		if p.bytes == nil {
			return
		}
		if err := s.write(p, progress); err != nil {
			s.lost(s.out, reasonOf(err))
			return
		}
		progress()
	}
}

// write writes a piece and waits for it.
func (s *Spoke) write(p piece, progress func()) error {
	if s.out.batch != nil {
		return s.sendBatch(p)
	}
	if s.out.frames == nil {
		return s.send(p, progress)
	}
	if err := s.out.frames.WriteFrames(p.bytes); err != nil {
		return err
	}
	s.wrote(p, len(p.bytes))
	return nil
}

// sendBatch writes a piece on a connection that frames messages in its own way.
func (s *Spoke) sendBatch(p piece) error {
	var all []Message
	for _, m := range p.messages {
		all = append(all, Message{Envelope: m.bytes[m.header:], After: Position{at: m.after, valid: m.after != framelog.Position{}}})
	}
	p.run.Messages(func(msg []byte, after framelog.Position) bool {
		all = append(all, Message{Envelope: msg, After: Position{at: after, valid: true}})
		return true
	})
	if err := s.out.batch.SendBatch(all); err != nil {
		return err
	}
	s.wrote(p, len(p.bytes))
	return nil
}

// send writes a piece on a connection that takes messages one by one.
func (s *Spoke) send(p piece, progress func()) (err error) {
	for range len(p.messages) {
		m := p.messages[0] // each one that is out makes room for the next there
		if err := s.out.conn.Send(m.bytes[m.header:]); err != nil {
			return err
		}
		s.wrote(p, len(m.bytes))
		progress()
	}
	at := p.run.From
	p.run.Messages(func(msg []byte, after framelog.Position) bool {
		if err = s.out.conn.Send(msg); err != nil {
			return false
		}
		s.passed(p.kind, at, after)
		at = after
		progress()
		return true
	})
	return err
}
