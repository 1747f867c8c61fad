package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// place is one of a pool: a spoke of the hub, and the line behind which its children take
// turns.
type place struct {
	pool    *Pool
	name    string
	failed  chan error // why a child could not be started, for who waits then
	started time.Time  // the last child; the reader's
	failing time.Time  // since when none lasted; zero: one did; the reader's

	mu      sync.Mutex
	line    *line
	spoke   *hub.Spoke    // nil until it could be attached
	renewed chan struct{} // closed and replaced when these change
}

func newPlace(p *Pool, n int) *place {
	return &place{pool: p, name: fmt.Sprintf("worker-%d", n), failed: make(chan error), renewed: make(chan struct{})}
}

// current returns the line, the spoke, and what is closed when there are others.
func (p *place) current() (*line, *hub.Spoke, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line, p.spoke, p.renewed
}

// child returns the child that is there; nil if none was started yet.
func (p *place) child() *child {
	l, _, _ := p.current()
	c, _ := l.current()
	return c
}

// attach makes a new line, and a spoke of it.
func (p *place) attach() error {
	l := newLine()
	l.replace = p.replace
	l.lost = func(e *Exit) { reportLost(p.pool, p.name, e) }
	s, err := p.pool.Attach(l, hub.Meta{ID: p.name, Transport: adapter})
	if err != nil && !errors.Is(err, eventtarget.ErrClosed) {
		p.pool.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Peer: p.name, Err: err})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line, p.spoke = l, s
	close(p.renewed)
	p.renewed = make(chan struct{})
	return err
}

// keep makes the place anew whenever its spoke has ended, until the pool is closed.
func (p *place) keep() {
	failing := time.Now()
	for {
		if _, s, _ := p.current(); s != nil {
			<-s.Done()
			failing = time.Now()
		}
		if p.pool.State() == eventtarget.StateClosed {
			return
		}
		late := time.NewTimer(p.pool.opts.Worker.Backoff.Pause(time.Since(failing)))
		select {
		case <-late.C:
		case <-p.pool.Hub.Done():
			late.Stop()
			return
		}
		_ = p.attach() // it is tried again
	}
}

// replace starts the child that takes the place of one that has ended: nil and nil for
// the first. It goes on until it has one, or ctx ends.
func (p *place) replace(ctx context.Context, c *child, cause error) (*child, error) {
	if c != nil {
		p.pool.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Peer: p.name, Count: c.unfinished(), Err: cause})
		if time.Since(p.started) >= p.pool.opts.Worker.Backoff.Healthy {
			p.failing = time.Time{}
		}
		if !p.wait(ctx) {
			return nil, context.Cause(ctx)
		}
	}
	for {
		next, err := p.pool.start(ctx)
		if err == nil {
			p.started = time.Now()
			if c != nil {
				p.pool.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultReconnected, Peer: p.name})
				p.pool.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Peer: p.name})
			}
			return next, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p.pool.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Peer: p.name, Err: err})
		select {
		case p.failed <- err:
		default:
		}
		if !p.wait(ctx) {
			return nil, context.Cause(ctx)
		}
	}
}

// wait waits before the next attempt. It is false when ctx has ended.
func (p *place) wait(ctx context.Context) bool {
	if p.failing.IsZero() {
		p.failing = time.Now()
	}
	late := time.NewTimer(p.pool.opts.Worker.Backoff.Pause(time.Since(p.failing)))
	defer late.Stop()
	select {
	case <-late.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ready waits until there is a child.
func (p *place) ready(ctx context.Context) error {
	for {
		l, _, renewed := p.current()
		c, change := l.current()
		if c != nil && l.ctx.Err() == nil && !c.ended() {
			return nil
		}
		if p.pool.State() == eventtarget.StateClosed {
			return eventtarget.ErrClosed
		}
		select {
		case <-change:
		case err := <-p.failed:
			return err
		case <-renewed:
		case <-p.pool.Hub.Done():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
