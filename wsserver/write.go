package wsserver

import (
	"net"
	"slices"
	"sync"
)

// TryWriteFrames writes frames without waiting; see [hub.FrameWriter].
func (s *socket) TryWriteFrames(frames []byte) (n int, blocked bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return 0, false, s.failed
	case s.closing:
		return 0, false, net.ErrClosed
	case s.busy || s.rest != nil || len(s.control) > 0 || !s.raw.Can():
		return 0, true, nil
	}
	n, err = s.raw.TryWrite(frames)
	if err != nil {
		s.failed = err
		return 0, false, err
	}
	if n == len(frames) {
		return n, false, nil
	}
	end := frameEnd(frames, max(n, 1)) // of none the first is taken: the next call waits for that
	if n < end {
		s.rest = slices.Clone(frames[n:end]) // which does not keep a segment of the log
	}
	return end, true, nil
}

// putControl writes a control frame as soon as no other frame is under way, and
// does not wait for that.
func (s *socket) putControl(frame []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return s.failed
	case s.closing:
		return nil // nothing comes after a close frame; the library's own is one too many
	case len(s.control)+len(frame) > maxControl && frame[0]&opcodeMask != opcodeClose:
		return nil
	}
	s.closing = frame[0]&opcodeMask == opcodeClose
	s.control = append(s.control, frame...)
	if s.busy {
		return nil
	}
	if s.rest == nil && s.raw.Can() {
		n, err := s.raw.TryWrite(s.control)
		if err != nil {
			s.failed = err
			return err
		}
		if n == len(s.control) {
			s.control = nil
			return nil
		}
		s.rest = s.control[n:] // its frames are written before any other
		s.control = nil
	}
	s.busy = true
	go func() { _ = s.flush(nil) }()
	return nil
}

// WriteFrames writes frames, and before them what TryWriteFrames left; it waits.
func (s *socket) WriteFrames(frames []byte) error {
	s.mu.Lock()
	for s.busy {
		if s.turn == nil {
			s.turn = sync.NewCond(&s.mu)
		}
		s.turn.Wait()
	}
	if s.failed != nil || s.closing {
		defer s.mu.Unlock()
		if s.failed == nil {
			return net.ErrClosed
		}
		return s.failed
	}
	s.busy = true
	s.mu.Unlock()
	return s.flush(frames)
}

// flush writes the rest of a cut frame, then frames, then the control frames that came
// meanwhile, of which the last may be a close frame: nothing comes after that. Whoever
// calls it has set busy.
func (s *socket) flush(frames []byte) error {
	for {
		s.mu.Lock()
		next := s.rest
		s.rest = nil
		if len(next) == 0 {
			next, frames = frames, nil
		}
		if len(next) == 0 {
			next = s.control
			s.control = nil
		}
		if len(next) == 0 {
			s.busy = false
			if s.turn != nil {
				s.turn.Broadcast()
			}
			err := s.failed
			s.mu.Unlock()
			return err
		}
		s.mu.Unlock()
		if _, err := s.Conn.Write(next); err != nil {
			s.mu.Lock()
			s.failed, s.rest, s.control, frames = err, nil, nil, nil
			s.mu.Unlock()
		}
	}
}
