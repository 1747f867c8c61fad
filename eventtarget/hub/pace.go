package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

const (
	// stallAfter is how long a parked spoke may take nothing and still be
	// waited for.
	stallAfter = 100 * time.Millisecond
	// slowAfter is how long a spoke that reads, but more slowly than others,
	// may hold Dispatch up each time that it is parked.
	slowAfter = time.Second
)

// pace keeps Dispatch from lapping its readers. An append costs far less than a
// write, so that a tight loop would go once around the log before a spoke that
// reads as fast as it can had got anything.
//
// Dispatch waits while the head is further than a quarter of the log ahead of
// the sweepers, or of a parked spoke: for one that takes nothing only stallAfter,
// for one that is slower than others slowAfter, and for the fastest of those that
// read always. A spoke that is waited for no more has its place in the log and its
// policy.
type pace struct {
	hub    *Hub
	window uint64
	clear  atomic.Uint64 // offset up to which nobody needs to be waited for

	mu      sync.Mutex
	parks   map[*Spoke]*parking
	waiters int
	moved   chan struct{} // closed and replaced when somebody got on and somebody waits
}

// parking is the pace's view of a parked spoke.
type parking struct {
	offset    uint64
	since     time.Time // it was at offset first
	heldSince time.Time // it was waited for first; zero: not yet
}

func (p *pace) init(h *Hub) {
	p.hub = h
	p.window = uint64(max(h.opts.LogBytes/4, 1))
	p.clear.Store(p.window)
	p.parks = make(map[*Spoke]*parking)
	p.moved = make(chan struct{})
}

// wait returns when an event may be appended, or with ctx's cause. Inside an
// Inline listener, which may stand on a reader, it never waits.
func (p *pace) wait(ctx context.Context) error {
	for {
		head := p.hub.log.Head().Offset
		if head <= p.clear.Load() {
			return nil
		}
		p.mu.Lock()
		held, until := p.look(head, time.Now())
		if !held {
			p.mu.Unlock()
			return nil
		}
		if eventtarget.CallerOf(ctx) == eventtarget.InlineListener {
			p.mu.Unlock()
			return nil
		}
		moved := p.moved
		p.waiters++
		p.mu.Unlock()
		err := p.sleep(ctx, moved, until)
		p.mu.Lock()
		p.waiters--
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (p *pace) sleep(ctx context.Context, moved <-chan struct{}, until time.Duration) error {
	t := time.NewTimer(until)
	defer t.Stop()
	select {
	case <-moved:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.hub.ctx.Done():
		return eventtarget.ErrClosed
	}
}

// look finds out whether somebody must be waited for, and for how long at most
// before looking again. Under mu.
func (p *pace) look(head uint64, now time.Time) (held bool, until time.Duration) {
	slowest := head // of those that are waited for
	for _, sh := range p.hub.shards {
		if sh.busy() {
			slowest = min(slowest, sh.swept.Load())
		}
	}
	fastest, reading := uint64(0), 0 // of the parked ones that read
	for s, k := range p.parks {
		if at := s.written.Load(); at != k.offset {
			k.offset, k.since = at, now
		}
		if now.Sub(k.since) < stallAfter {
			fastest, reading = max(fastest, k.offset), reading+1
		}
	}
	until = stallAfter
	for _, k := range p.parks {
		if now.Sub(k.since) >= stallAfter || k.offset+p.window >= head {
			continue
		}
		if k.heldSince.IsZero() {
			k.heldSince = now
		}
		alone := len(p.parks) == p.hub.Len() && k.offset == fastest
		if alone || now.Sub(k.heldSince) < slowAfter {
			slowest = min(slowest, k.offset)
			until = min(until, stallAfter-now.Sub(k.since))
		}
	}
	if slowest+p.window < head {
		return true, until
	}
	// Whoever is parked may have to be looked at again before the window is
	// used up; otherwise nobody can be further behind than this.
	p.clear.Store(slowest + p.window)
	return false, 0
}

// progressed tells that somebody got on.
func (p *pace) progressed() {
	p.mu.Lock()
	if p.waiters > 0 {
		close(p.moved)
		p.moved = make(chan struct{})
	}
	p.mu.Unlock()
}

func (p *pace) parked(s *Spoke) {
	p.mu.Lock()
	p.parks[s] = &parking{offset: s.written.Load(), since: time.Now()}
	p.mu.Unlock()
}

func (p *pace) unparked(s *Spoke) {
	p.mu.Lock()
	delete(p.parks, s)
	if p.waiters > 0 {
		close(p.moved)
		p.moved = make(chan struct{})
	}
	p.mu.Unlock()
}

// busy tells whether the shard has spokes that its sweeper writes to.
func (sh *shard) busy() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.spokes) > 0
}
