package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

const (
	// stallAfter is how long a parked spoke may take nothing and still be
	// waited for. A kernel asks for more only when a good part of its buffer,
	// which may be megabytes, has been read: a peer that reads well can take
	// nothing for a good part of a second.
	stallAfter = time.Second
	// slowAfter is how long a spoke that reads, but more slowly than others,
	// may hold Dispatch up each time that it is parked.
	slowAfter = 2 * time.Second
)

// pace keeps Dispatch from lapping its readers. An append costs far less than a
// write, so that a tight loop would go once around the log before a spoke that
// reads as fast as it can had got anything.
//
// Dispatch waits while the head is further than a quarter of the log ahead of
// the sweepers, or of a parked spoke: for one that takes nothing only stallAfter,
// for one that is slower than others slowAfter, and for the fastest of those that
// read always. A spoke that is waited for no more has its place in the log and its
// policy. A hub that was set to Block waits for all that have not another policy, until one
// takes nothing for WriteTimeout and is ended.
type pace struct {
	hub    *Hub
	window framelog.Position                 // a quarter of the log's bounds
	clear  atomic.Pointer[framelog.Position] // as far as nobody needs to be waited for

	mu      sync.Mutex
	parks   map[*Spoke]*parking
	waiters int
	moved   chan struct{} // closed and replaced when somebody got on and somebody waits
}

// parking is the pace's view of a parked spoke.
type parking struct {
	at        framelog.Position
	since     time.Time // it was there first
	heldSince time.Time // it was waited for first; zero: not yet
}

func (p *pace) init(h *Hub) {
	p.hub = h
	p.window = framelog.Position{Offset: uint64(max(h.opts.LogBytes/4, 1)), Seq: uint64(max(h.opts.LogEvents/4, 1))}
	p.clear.Store(&framelog.Position{})
	p.parks = make(map[*Spoke]*parking)
	p.moved = make(chan struct{})
}

// wait returns when an event may be appended, or with ctx's cause. Inside an
// Inline listener, which may stand on a reader, it never waits.
func (p *pace) wait(ctx context.Context) error {
	for {
		head := p.hub.log.Head()
		if clear := p.clear.Load(); head.Offset <= clear.Offset && head.Seq <= clear.Seq {
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
			if p.hub.opts.Overflow == eventtarget.Block {
				return eventtarget.ErrWouldBlock
			}
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
func (p *pace) look(head framelog.Position, now time.Time) (held bool, until time.Duration) {
	slowest := head // of those that are waited for
	followers := 0
	for _, sh := range p.hub.shards {
		if n := sh.following(); n > 0 {
			followers += n
			slowest = earlier(slowest, *sh.swept.Load())
		}
	}
	var fastest framelog.Position // of the parked ones that read
	for s, k := range p.parks {
		if at := s.position(); at != k.at {
			k.at, k.since = at, now
		}
		if now.Sub(k.since) < stallAfter && k.at.Offset >= fastest.Offset {
			fastest = k.at
		}
	}
	all := len(p.parks) == followers
	until = stallAfter
	for s, k := range p.parks {
		stalled := now.Sub(k.since)
		if s.inbox.overflow() == eventtarget.Block {
			slowest = earlier(slowest, k.at)
			continue
		}
		if stalled >= stallAfter {
			continue
		}
		if p.tooFar(k.at, head) && k.heldSince.IsZero() {
			k.heldSince = now
		}
		slow := !k.heldSince.IsZero() && now.Sub(k.heldSince) >= slowAfter
		if slow && !(all && k.at == fastest) {
			continue
		}
		slowest = earlier(slowest, k.at)
		until = min(until, stallAfter-stalled)
	}
	if p.tooFar(slowest, head) {
		return true, until
	}
	p.clear.Store(&framelog.Position{Offset: slowest.Offset + p.window.Offset, Seq: slowest.Seq + p.window.Seq})
	return false, 0
}

// tooFar tells whether head is more than a window ahead of at.
func (p *pace) tooFar(at, head framelog.Position) bool {
	return head.Offset > at.Offset+p.window.Offset || head.Seq > at.Seq+p.window.Seq
}

func earlier(a, b framelog.Position) framelog.Position {
	if b.Offset < a.Offset {
		return b
	}
	return a
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
	if !s.following.Load() {
		return
	}
	p.mu.Lock()
	// One that was written an acknowledgement has not got on by that.
	if k, at := p.parks[s], s.position(); k == nil || k.at != at {
		p.parks[s] = &parking{at: at, since: time.Now()}
	}
	s.waited.Store(true)
	p.mu.Unlock()
}

func (p *pace) unparked(s *Spoke) {
	p.mu.Lock()
	delete(p.parks, s)
	s.waited.Store(false)
	if p.waiters > 0 {
		close(p.moved)
		p.moved = make(chan struct{})
	}
	p.mu.Unlock()
}

// following returns how many spokes of the shard follow the log.
func (sh *shard) following() int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.followers)
}
