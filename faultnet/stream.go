package faultnet

import (
	"io"
	"sync"
	"time"
)

// stream is what happens to bytes that pass in two directions.
type stream struct {
	mu    sync.Mutex
	way   way
	moved chan struct{} // closed and replaced when way changes
}

func newStream() stream { return stream{moved: make(chan struct{})} }

// way is what happens to what passes.
type way struct {
	refuses     bool
	stalls      [2]bool // by direction
	delay       time.Duration
	atOnce      int // bytes; 0: as many as come
	bytesPerSec int // 0: any
}

// Direction is one of the two in which bytes are forwarded.
type Direction int

// The directions.
const (
	ToServer Direction = iota
	ToClient
)

// Stall stops forwarding without a word: in both directions a cable that was pulled,
// in one a connection that is half open.
func (s *stream) Stall(directions ...Direction) {
	s.set(func(w *way) {
		if len(directions) == 0 {
			w.stalls = [2]bool{true, true}
		}
		for _, d := range directions {
			w.stalls[d] = true
		}
	})
}

// Delay holds up whatever passes for so long.
func (s *stream) Delay(d time.Duration) { s.set(func(w *way) { w.delay = d }) }

// Shred makes what passes arrive in pieces of at most n bytes.
func (s *stream) Shred(n int) { s.set(func(w *way) { w.atOnce = n }) }

// Rate bounds the bytes that pass in a second, in each direction of each connection.
func (s *stream) Rate(bytesPerSec int) { s.set(func(w *way) { w.bytesPerSec = bytesPerSec }) }

// Heal ends every fault.
func (s *stream) Heal() { s.set(func(w *way) { *w = way{} }) }

func (s *stream) set(change func(w *way)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.way)
	close(s.moved)
	s.moved = make(chan struct{})
}

// pass forwards b as the way is now; it is false when the connection has ended.
func (s *stream) pass(to io.Writer, b []byte, d Direction) bool {
	for len(b) > 0 {
		w, ok := s.await(d)
		if !ok {
			return false
		}
		n := len(b)
		if w.atOnce > 0 {
			n = min(n, w.atOnce)
		}
		pause := w.delay
		if w.bytesPerSec > 0 {
			n = min(n, max(1, w.bytesPerSec/100))
			pause += time.Duration(n) * time.Second / time.Duration(w.bytesPerSec)
		}
		if pause > 0 {
			time.Sleep(pause)
		}
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// await waits while the direction stalls; it is false when the connection is to end.
func (s *stream) await(d Direction) (way, bool) {
	for {
		s.mu.Lock()
		w, moved := s.way, s.moved
		s.mu.Unlock()
		if w.refuses || !w.stalls[d] {
			return w, !w.refuses
		}
		<-moved
	}
}
