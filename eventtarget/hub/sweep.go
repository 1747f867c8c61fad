package hub

import (
	"runtime"
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

	mu        sync.Mutex
	followers []*Spoke // those that follow the log
	dirty     []*Spoke // something concerns them alone

	// The sweeper's own:
	turn []*Spoke
	w    writer
}

const (
	asleep int32 = iota
	running
	again // running, and to look once more
)

func newShard(h *Hub) *shard {
	sh := &shard{hub: h, wake: make(chan struct{}, 1), w: writer{joined: new(framelog.Joined)}}
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

// lookAgain is after how many spokes a sweep looks for what was dispatched since it began:
// the next one would write that to them anyway, and this one puts it into the same write.
const lookAgain = 8

// letOthers is after how many spokes a sweep lets others run: there may be as many sweepers as
// processors, and then who dispatches, or has something from a spoke, would wait for the
// scheduler to interrupt one.
const letOthers = 64

// sweep brings every spoke up to where the head is now, at least.
func (sh *shard) sweep() {
	sh.mu.Lock()
	sh.turn = append(sh.turn[:0], sh.dirty...)
	for _, s := range sh.dirty {
		s.dirty = false
	}
	clear(sh.dirty)
	sh.dirty = sh.dirty[:0]
	sh.mu.Unlock()
	// Only now, so that no item of theirs has a place behind it.
	head := sh.hub.log.Head()
	if head != *sh.swept.Load() {
		sh.mu.Lock()
		sh.turn = append(sh.turn, sh.followers...)
		sh.mu.Unlock()
	}
	upto := head
	for i, s := range sh.turn {
		if i%lookAgain == 0 && sh.awake.Load() == again {
			upto = sh.hub.log.Head()
		}
		if i%letOthers == letOthers-1 {
			runtime.Gosched()
		}
		if !s.parked.Load() {
			sh.advance(s, upto)
		}
	}
	clear(sh.turn)
	sh.w.forget()
	sh.swept.Store(&head)
	sh.hub.pace.progressed()
}

// advance writes what s lacks, as far as that is possible without waiting. Parking
// is the last thing that it does: from then on the spoke is another's.
func (sh *shard) advance(s *Spoke, head framelog.Position) {
	s.install()
	for {
		p := s.next(head, &sh.w)
		if p.bytes == nil {
			if s.waited.Load() && (s.session == nil || s.out.broken || s.caughtUp(head)) {
				s.hub.pace.unparked(s)
			}
			return
		}
		if s.out.frames == nil {
			s.park()
			return
		}
		n, blocked, err := s.out.tryWrite(p, &sh.w)
		if err != nil {
			s.broke(p, err)
			return
		}
		s.wrote(p, n)
		if blocked {
			s.park()
			return
		}
	}
}

// add makes the sweeper visit s from now on.
func (sh *shard) add(s *Spoke) {
	sh.mu.Lock()
	s.swept = true
	if s.follows {
		sh.enlist(s)
	}
	sh.mu.Unlock()
	sh.mark(s)
}

func (sh *shard) remove(s *Spoke) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.swept = false
	sh.delist(s)
	if i := slices.Index(sh.dirty, s); i >= 0 {
		sh.dirty = slices.Delete(sh.dirty, i, i+1)
		s.dirty = false
	}
}

// follow tells whether s is to be visited whenever something is appended.
func (sh *shard) follow(s *Spoke, follows bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.follows = follows
	switch {
	case !follows:
		sh.delist(s)
	case s.swept:
		sh.enlist(s)
	}
}

// enlist and delist see to the followers. Under mu.
func (sh *shard) enlist(s *Spoke) {
	if s.place < 0 {
		s.place = int32(len(sh.followers)) //nolint:gosec // so many connections there are not
		sh.followers = append(sh.followers, s)
	}
}

func (sh *shard) delist(s *Spoke) {
	if s.place < 0 {
		return
	}
	last := len(sh.followers) - 1
	sh.followers[s.place] = sh.followers[last]
	sh.followers[s.place].place = s.place
	sh.followers[last] = nil
	sh.followers = sh.followers[:last]
	s.place = -1
}

// mark makes the next sweep visit s even if nothing was dispatched to all.
func (sh *shard) mark(s *Spoke) {
	sh.mu.Lock()
	visit := s.swept
	if visit && !s.dirty {
		s.dirty = true
		sh.dirty = append(sh.dirty, s)
	}
	sh.mu.Unlock()
	if visit {
		sh.notify()
	}
}
