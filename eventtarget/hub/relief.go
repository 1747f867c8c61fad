package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/internal/wire"
)

// relief is of a reader that something holds up, such as an Inline listener that does not
// return: another one reads on, so that acknowledgements and signs of life pass, and keeps
// what else it reads, up to SpokeBytes, for the first one to handle. That is the first
// one's last act. As long as nothing is held up, nothing is handed from one goroutine to
// another.
type relief struct {
	on atomic.Bool // changed under mu

	mu      sync.Mutex
	ended   bool // nobody will handle anything
	waiting []received
	size    int
	room    chan struct{} // closed when there may be; nil while nobody waits
}

// relieve lets another goroutine read, if the one that does is still in a turn. It is to
// be called while the spoke has its reader, and tells whether it has done that.
func (s *Spoke) relieve(a *attachment, turn uint64) bool {
	if turn%2 == 0 || a.turn.Load() != turn {
		return false
	}
	x := &a.relief
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended || !a.turn.CompareAndSwap(turn, 0) {
		return false
	}
	x.on.Store(true)
	s.hub.wg.Add(1)
	go s.read(a)
	return true
}

// putOff keeps what was read for who is held up. It is false if nobody is any more.
func (s *Spoke) putOff(a *attachment, r received) bool {
	if r.err == nil && s.session != nil {
		if m, err := wire.Decode(r.msg, s.hub.opts.Limits); err == nil && m.Type == wire.Ack && s.receiveAck(m) == nil {
			return true
		}
	}
	s.lastHeard.Store(time.Now().UnixNano())
	x := &a.relief
	x.mu.Lock()
	defer x.mu.Unlock()
	for r.err == nil && x.on.Load() && !x.ended && x.size > s.hub.opts.SpokeBytes && s.ctx.Err() == nil {
		if x.room == nil {
			x.room = make(chan struct{})
		}
		room := x.room
		x.mu.Unlock()
		select {
		case <-room:
		case <-s.ctx.Done():
		}
		x.mu.Lock()
	}
	if !x.on.Load() {
		return false
	}
	if !x.ended {
		x.waiting = append(x.waiting, r)
		x.size += len(r.msg)
	}
	return true
}

// makeUp handles what was kept until there is nothing left.
func (s *Spoke) makeUp(a *attachment) {
	for {
		r, ok := a.relief.next(a)
		if !ok {
			return
		}
		if !s.handle(a, r) {
			a.relief.end()
			return
		}
	}
}

// next takes out what is to be handled next. It is false when there is nothing, and who
// reads now handles it too.
func (x *relief) next(a *attachment) (r received, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.signal()
	if len(x.waiting) == 0 {
		x.waiting = nil
		a.turn.Store(0)
		x.on.Store(false)
		return r, false
	}
	r = x.waiting[0]
	x.waiting[0] = received{}
	x.waiting = x.waiting[1:]
	x.size -= len(r.msg)
	return r, true
}

// end lets go of what nobody will handle.
func (x *relief) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended, x.waiting, x.size = true, nil, 0
	x.signal()
}

// signal wakes the reader. Under mu.
func (x *relief) signal() {
	if x.room != nil {
		close(x.room)
		x.room = nil
	}
}
