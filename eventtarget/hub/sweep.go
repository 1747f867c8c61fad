package hub

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// shard is a part of the spokes and the sweeper that writes to them.
//
// The sweeper never waits for a spoke. One whose connection is full is parked: a
// goroutine of its own writes what it lacks, and hands it back when that is done.
type shard struct {
	hub   *Hub
	awake atomic.Int32
	wake  chan struct{}
	swept atomic.Pointer[framelog.Position] // what every spoke here has reached unless parked

	mu     sync.Mutex
	spokes []*Spoke
	dirty  []*Spoke // something concerns them alone

	// The sweeper's own:
	turn []*Spoke
	run  framelog.Run // what the last spoke at the head of the sweep read
}

const (
	asleep int32 = iota
	running
	again // running, and to look once more
)

func newShard(h *Hub) *shard {
	sh := &shard{hub: h, wake: make(chan struct{}, 1)}
	sh.swept.Store(&framelog.Position{})
	return sh
}

// notify makes the sweeper look for something to write.
func (sh *shard) notify() {
	for {
		switch sh.awake.Load() {
		case again:
			return
		case running:
			if sh.awake.CompareAndSwap(running, again) {
				return
			}
		case asleep:
			if sh.awake.CompareAndSwap(asleep, running) {
				sh.wake <- struct{}{}
				return
			}
		}
	}
}

func (h *Hub) wakeAll() {
	for _, sh := range h.shards {
		sh.notify()
	}
}

// loop is the sweeper.
func (sh *shard) loop() {
	for {
		select {
		case <-sh.wake:
		case <-sh.hub.ctx.Done():
			return
		}
		for {
			sh.awake.Store(running)
			sh.sweep()
			if sh.awake.CompareAndSwap(running, asleep) {
				break
			}
		}
	}
}

// sweep brings every spoke up to where the head is now.
func (sh *shard) sweep() {
	head := sh.hub.log.Head()
	sh.mu.Lock()
	sh.turn = sh.turn[:0]
	if head != *sh.swept.Load() {
		sh.turn = append(sh.turn, sh.spokes...)
	} else {
		sh.turn = append(sh.turn, sh.dirty...)
	}
	for _, s := range sh.dirty {
		s.dirty = false
	}
	clear(sh.dirty)
	sh.dirty = sh.dirty[:0]
	sh.mu.Unlock()
	for _, s := range sh.turn {
		if !s.parked.Load() {
			sh.advance(s, head)
		}
	}
	clear(sh.turn)
	sh.run = framelog.Run{}
	sh.swept.Store(&head)
	sh.hub.pace.progressed()
}

// advance writes what s lacks, as far as that is possible without waiting. Parking
// is the last thing that it does: from then on the spoke is another's.
func (sh *shard) advance(s *Spoke, head framelog.Position) {
	for {
		st := s.next(head, &sh.run)
		if st.kind == stepNone {
			return
		}
		if s.frames == nil {
			s.park()
			return
		}
		n, blocked, err := s.frames.TryWriteFrames(st.bytes())
		if err != nil {
			s.end(reasonOf(err))
			return
		}
		s.wrote(st, n)
		if blocked {
			s.park()
			return
		}
	}
}

func (sh *shard) add(s *Spoke) {
	sh.mu.Lock()
	s.place = len(sh.spokes)
	sh.spokes = append(sh.spokes, s)
	sh.mu.Unlock()
	sh.mark(s)
}

func (sh *shard) remove(s *Spoke) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.place >= len(sh.spokes) || sh.spokes[s.place] != s {
		return // it never was added
	}
	last := len(sh.spokes) - 1
	sh.spokes[s.place] = sh.spokes[last]
	sh.spokes[s.place].place = s.place
	sh.spokes[last] = nil
	sh.spokes = sh.spokes[:last]
	if i := slices.Index(sh.dirty, s); i >= 0 {
		sh.dirty = slices.Delete(sh.dirty, i, i+1)
	}
}

// mark makes the next sweep visit s even if nothing was dispatched to all.
func (sh *shard) mark(s *Spoke) {
	sh.mu.Lock()
	added := s.place < len(sh.spokes) && sh.spokes[s.place] == s
	if added && !s.dirty {
		s.dirty = true
		sh.dirty = append(sh.dirty, s)
	}
	sh.mu.Unlock()
	if added {
		sh.notify()
	}
}
