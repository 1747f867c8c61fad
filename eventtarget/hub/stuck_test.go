package hub_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// stick makes Append wait until what it returns is closed.
func (m *memory) stick() (free chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy = make(chan struct{})
	return m.busy
}

// Shutdown is bounded by its context also while the store is stuck.
func TestStoreStuckAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		free := m.stick()
		accepted := make(chan error, 1)
		go func() { accepted <- h.Dispatch(t.Context(), event("n", "", "1")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		down := make(chan error, 1)
		go func() { down <- h.Shutdown(ctx) }()
		time.Sleep(2 * time.Second)
		select {
		case err := <-down:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v", err)
			}
		default:
			t.Error("Shutdown waits for the store")
		}
		close(free)
		if err := <-accepted; err != nil && !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			t.Errorf("Dispatch: %v", err)
		}
		synctest.Wait()
	})
}

// What a store takes after its dispatcher has given up is brought to the spokes.
func TestStoreTakesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		p, _ := open(t, h, "", "")
		free := m.stick()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Dispatch(ctx, event("n", "", "1")); !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			t.Errorf("Dispatch: %v", err)
		}
		close(free)
		p.expect("n: 1")
	})
}

// deaf is a log out of which nothing comes back, until that fails.
type deaf struct {
	*sharedStore
	fail chan error
}

func (d *deaf) Restore() iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		yield(hub.Record{Kind: hub.RecordName, Hub: "first", Name: "log", Seq: 1}, nil)
	}
}

func (d *deaf) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		select {
		case err := <-d.fail:
			yield(hub.Record{}, err)
		case <-ctx.Done():
		}
	}
}

// Shutdown waits for what the log has to come back, unless that will not be.
func TestSharedFailsAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{sharedStore: hublog.New().Open(), fail: make(chan error, 1)}
		h := newHub(t, hub.Options{Store: d, Relay: true, Heartbeat: -1})
		accepted := make(chan error, 1)
		go func() { accepted <- h.Dispatch(t.Context(), event("n", "", "1")) }()
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- h.Shutdown(t.Context()) }()
		synctest.Wait()
		if len(down) > 0 {
			t.Error("Shutdown has not waited")
		}
		d.fail <- errors.New("out of order")
		synctest.Wait()
		if len(down) == 0 {
			t.Error("Shutdown waits for what does not come")
		}
		if err := <-accepted; !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			t.Errorf("Dispatch: %v", err)
		}
		h.Close()
	})
}

// forgetful is a way to a log that loses an event that it has taken.
type forgetful struct {
	*sharedStore
	loses atomic.Bool
}

func (f *forgetful) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		for r, err := range f.sharedStore.Follow(ctx) {
			if r.Kind == hub.RecordEvent && f.loses.CompareAndSwap(true, false) {
				r = hub.Record{Kind: hub.RecordLost, Seq: r.Seq}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// Who waits for what the log has taken and lost is told, and what it has not lost is
// accepted.
func TestSharedLosesWhatItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{sharedStore: hublog.New().Open()}
		h := newHub(t, hub.Options{Store: f, Relay: true, Heartbeat: -1})
		p, _ := open(t, h, "", `,"topics":["n:*"]`)
		f.loses.Store(true)
		results := make(chan error, 2)
		for n := range 2 {
			go func() { results <- h.Dispatch(t.Context(), event("n", "", "1")) }()
			synctest.Wait()
			if len(results) != n+1 {
				t.Fatalf("dispatcher %d waits", n)
			}
		}
		lost, accepted := <-results, <-results
		if lost == nil {
			lost, accepted = accepted, lost
		}
		if !errors.Is(lost, eventtarget.ErrUnknownOutcome) || accepted != nil {
			t.Errorf("Dispatch: %v, %v", lost, accepted)
		}
		p.expect(`__gap: {"count":0}`, "n: 1")
		if err := h.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// What the log has lost of a session's messages counts as received: its peer would send what
// came behind it again.
func TestSharedLosesOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{sharedStore: hublog.New().Open()}
		h := newHub(t, hub.Options{Store: f, Relay: true, Heartbeat: -1})
		others, _ := open(t, h, "", `,"topics":["n:*"]`)
		p, w := open(t, h, "", `,"topics":[]`)
		for n := range 3 {
			f.loses.Store(n == 1)
			p.send(fmt.Sprintf(`{"type":"n","id":"","payload":%d}`, n))
			synctest.Wait()
		}
		others.expect("n: 0", `__gap: {"count":0}`, "n: 2")
		p.conn.Cut()
		synctest.Wait()
		if _, again := open(t, h, "", resume(w, 0)); !again.Resumed || again.Received != 3 {
			t.Errorf("resumed %t, received %d of 3", again.Resumed, again.Received)
		}
	})
}

// late is a way to a log that brings an event only when it is let go, or then loses it.
type late struct {
	*sharedStore
	free chan struct{}
}

func (l *late) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		for r, err := range l.sharedStore.Follow(ctx) {
			if r.Kind == hub.RecordEvent {
				select {
				case <-l.free:
					r = hub.Record{Kind: hub.RecordLost, Seq: r.Seq}
				case <-ctx.Done():
					return
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// What the log loses while the hub shuts down it does not wait for: its dispatcher is told,
// and Shutdown returns.
func TestSharedLosesAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &late{sharedStore: hublog.New().Open(), free: make(chan struct{})}
		h := newHub(t, hub.Options{Store: l, Relay: true, Heartbeat: -1})
		accepted := make(chan error, 1)
		go func() { accepted <- h.Dispatch(t.Context(), event("n", "", "1")) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		down := make(chan error, 1)
		go func() { down <- h.Shutdown(ctx) }()
		synctest.Wait()
		if len(down) > 0 {
			t.Error("Shutdown has not waited")
		}
		began := time.Now()
		close(l.free)
		if err := <-down; err != nil || time.Since(began) > time.Second {
			t.Errorf("Shutdown took %v: %v", time.Since(began), err)
		}
		if err := <-accepted; !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			t.Errorf("Dispatch: %v", err)
		}
	})
}
