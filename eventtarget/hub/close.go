package hub

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Close ends the hub and every spoke at once and never waits. What is not yet out,
// and what waits for listeners, is discarded: counted, and told in faults. It
// returns nil.
func (h *Hub) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.accepting, h.closed = false, true
	h.mu.Unlock()
	h.journal.close()
	h.log.Seal()
	if m := h.joined.Load(); m != nil {
		_ = m.Close() // it never has an error
	}
	h.cancel(eventtarget.ErrClosed)
	discarded := h.late.Swap(0)
	for s := range h.Spokes() {
		n := s.undelivered()
		if n > 0 { // before a Shutdown can see that the spoke has left
			h.discarded.Store(true)
		}
		if s.end(eventtarget.Reason{Code: eventtarget.CodeGoingAway}) {
			discarded += n
		}
	}
	h.tellDiscarded(discarded)
	h.registry.Close()
	return nil
}

func (h *Hub) tellDiscarded(n uint64) {
	if n > 0 {
		h.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDiscarded, Count: n, Err: eventtarget.ErrClosed})
	}
}

// Shutdown refuses new spokes and events, brings every spoke what was accepted,
// closes it with CodeGoingAway behind that, lets listeners finish and ends the
// hub; ctx bounds all of it. See [eventtarget.Endpoint].
func (h *Hub) Shutdown(ctx context.Context) error {
	return h.shutdown(ctx, func() eventtarget.Reason { return eventtarget.Reason{Code: eventtarget.CodeGoingAway} })
}

// Restart is Shutdown for a hub that will be back: it closes its spokes with
// CodeRestart and asks each to come back after a time of its own, up to spread, so
// that they do not come all at once.
func (h *Hub) Restart(ctx context.Context, spread time.Duration) error {
	return h.shutdown(ctx, func() eventtarget.Reason {
		return eventtarget.Reason{Code: eventtarget.CodeRestart, Retry: rand.N(max(spread, time.Millisecond)) + time.Millisecond}
	})
}

func (h *Hub) shutdown(ctx context.Context, reason func() eventtarget.Reason) error {
	if eventtarget.CallerOf(ctx) != eventtarget.NotListener {
		return h.fail("shutdown", eventtarget.Topic{}, eventtarget.ErrWouldBlock)
	}
	defer h.Close()
	h.mu.Lock()
	h.accepting = false
	h.mu.Unlock()
	if err := h.journal.drain(ctx); err != nil {
		return h.fail("shutdown", eventtarget.Topic{}, err)
	}
	h.log.Seal() // so that nothing is accepted behind the closing
	for s := range h.Spokes() {
		s.disconnect(reason(), s.behind)
	}
	if err := h.awaitEmpty(ctx); err != nil {
		return h.fail("shutdown", eventtarget.Topic{}, err)
	}
	if h.sharesLog() {
		if err := h.journal.shared.ears.drain(ctx); err != nil {
			return h.fail("shutdown", eventtarget.Topic{}, err)
		}
	}
	if h.discarded.Load() {
		return h.fail("shutdown", eventtarget.Topic{}, eventtarget.ErrClosed)
	}
	if err := h.registry.Shutdown(ctx); err != nil {
		return err
	}
	if m := h.joined.Load(); m != nil { // the last, for the bus may be stuck
		if err := m.Leave(ctx); err != nil {
			return h.fail("shutdown", eventtarget.Topic{}, err)
		}
	}
	_ = h.Close()
	select {
	case <-h.done:
	case <-ctx.Done(): // everything is drained
	}
	return nil
}

// awaitEmpty waits until the last spoke has left.
func (h *Hub) awaitEmpty(ctx context.Context) error {
	for {
		h.mu.Lock()
		n, left := len(h.spokes), h.left
		h.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-left:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Done is closed when the hub is closed and its goroutines have ended.
func (h *Hub) Done() <-chan struct{} { return h.done }

// State is up until the hub is closed.
func (h *Hub) State() eventtarget.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.accepting {
		return eventtarget.StateClosed
	}
	return eventtarget.StateUp
}

// Ready returns at once: nil, or [eventtarget.ErrClosed]. A hub is up without
// spokes too.
func (h *Hub) Ready(context.Context) error {
	if h.State() == eventtarget.StateClosed {
		return h.fail("ready", eventtarget.Topic{}, eventtarget.ErrClosed)
	}
	return nil
}
