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
	if !s.has(out) { // detach or end may not have seen that it was waited for
		s.hub.pace.unparked(s)
	}
	// It is waited for until the sweeper has it and finds that it lacks nothing: in between
	// neither would be, and whoever dispatches could go once around the log.
	s.parked.Store(false)
	s.shard.mark(s) // for what came in between
}

// caughtUp tells whether a spoke with a session need not be waited for: nothing keeps it
// from being sent what comes next.
func (s *Spoke) caughtUp(head framelog.Position) bool {
	return s.at.Offset >= head.Offset && !s.session.isBlocked()
}

// writeOut writes to one connection.
func (s *Spoke) writeOut(out *attachment, progress func()) {
	if out.frames != nil {
		if err := out.frames.WriteFrames(nil); err != nil { // what the sweeper's last write left
			s.cut(err)
			return
		}
	}
	var w writer
	for s.incoming.Load() == nil {
		p := s.next(s.hub.log.Head(), &w)
		if p.bytes == nil {
			return
		}
		if err := s.write(p, &w, progress); err != nil {
			s.cut(err)
			return
		}
		progress()
	}
}

// write writes a piece and waits for it.
func (s *Spoke) write(p piece, w *writer, progress func()) error {
	if s.out.frames == nil {
		return s.send(p, progress)
	}
	n, blocked, err := s.out.tryWrite(p, w)
	switch {
	case err == nil && n > 0 && blocked:
		// A spoke that takes nothing holds on to what the connection has to finish, and
		// not to the stretch of the log that this is of.
		s.wrote(p, n)
		w.forget()
		return s.out.frames.WriteFrames(nil)
	case err == nil && n == 0: // it cannot write without waiting
		err = s.out.frames.WriteFrames(s.out.framed(p, w))
		n = len(p.bytes)
	}
	if err == nil {
		s.wrote(p, n)
	} else if s.session != nil {
		s.wrote(p, len(p.bytes)) // see broke
	}
	return err
}

// broke ends the connection on which p could not be written. The peer may have got a
// part of it nevertheless, and with a session says so when it is back: p counts as sent,
// and what of it is missing is sent again.
func (s *Spoke) broke(p piece, err error) {
	if s.session != nil {
		s.wrote(p, len(p.bytes))
	}
	s.cut(err)
}

// cut ends the connection on which a write has failed, perhaps within a message: what was
// written behind that, the peer would take for its rest. When the peer has closed it, the
// reader will notice by itself, behind what the peer sent before.
func (s *Spoke) cut(err error) {
	s.out.broken = true
	if r := reasonOf(err); !r.Remote {
		s.lost(s.out, r)
	}
}

// send writes a piece on a connection that takes messages one by one.
func (s *Spoke) send(p piece, progress func()) (err error) {
	for range len(p.messages) {
		m := p.messages[0] // each one that is out makes room for the next there
		err = s.out.conn.Send(m.bytes[m.header:])
		if err == nil || s.session != nil {
			s.wrote(p, len(m.bytes)) // see broke
		}
		if err != nil {
			return err
		}
		progress()
	}
	at := p.run.From
	p.run.Messages(func(msg []byte, after framelog.Position) bool {
		err = s.out.conn.Send(msg)
		if err == nil || s.session != nil {
			s.passed(p.kind, at, after)
			at = after
		}
		progress()
		return err == nil
	})
	return err
}
