package hub_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// gapCounter counts the gaps that a hub tells.
type gapCounter struct{ n atomic.Int32 }

func (g *gapCounter) fault(f eventtarget.Fault) {
	if f.Kind == eventtarget.FaultGap {
		g.n.Add(1)
	}
}

// TestJoinedBusAway: when a bus that was away for longer than a lease is back, nobody takes
// the other hubs for gone, who could give no sign of life, and no gap is told.
func TestJoinedBusAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		var gaps gapCounter
		var buses []*flaky
		var members []*hub.Membership
		for i := range 3 {
			h, on := newHub(t, hub.Options{OnFault: gaps.fault}), &flaky{Member: bus.Join(nil)}
			t.Cleanup(func() { on.Close() })
			m, err := h.Join(t.Context(), on, &hub.JoinOptions{Name: string(rune('a' + i))})
			if err != nil {
				t.Fatal(err)
			}
			buses, members = append(buses, on), append(members, m)
			time.Sleep(100 * time.Millisecond) // of the bubble's time
		}
		for _, b := range buses {
			b.broken.Store(true)
		}
		time.Sleep(10 * time.Second)
		for _, b := range buses {
			b.broken.Store(false)
		}
		time.Sleep(10 * time.Second)
		if n := gaps.n.Load(); n != 0 {
			t.Errorf("%d gaps were told, and nothing was lost", n)
		}
		for _, m := range members {
			if n := len(m.Hubs()); n != 3 {
				t.Errorf("a hub knows of %d", n)
			}
		}
	})
}

// TestJoinedBusCut: while a bus tells that it has no connection, but takes what is to go out later,
// nobody is taken for gone; who gives no sign of life when it is back is.
func TestJoinedBusCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		var gaps gapCounter
		var silent atomic.Bool
		far, here := &badBus{Member: bus.Join(nil), loses: func(eventtarget.Event[raw]) bool { return silent.Load() }}, &flaky{Member: bus.Join(nil)}
		t.Cleanup(func() { far.Close(); here.Close() })
		if _, err := newHub(t, hub.Options{}).Join(t.Context(), far, nil); err != nil {
			t.Fatal(err)
		}
		m, err := newHub(t, hub.Options{OnFault: gaps.fault}).Join(t.Context(), here, nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		silent.Store(true)
		here.tell(eventtarget.Fault{Kind: eventtarget.FaultDisconnected})
		for _, want := range []int{2, 1} {
			time.Sleep(10 * time.Second) // of the bubble's time
			if n := len(m.Hubs()); n != want || int(gaps.n.Load()) != 2-want {
				t.Errorf("it knows of %d hubs, want %d, and %d gaps were told", n, want, gaps.n.Load())
			}
			here.tell(eventtarget.Fault{Kind: eventtarget.FaultReconnected})
		}
	})
}

// queued is a bus that brings everything on one goroutine, as one over a network does.
type queued struct {
	*inprocess.Member
	mu      sync.Mutex
	waiting []func()
	wake    chan struct{}
}

func newQueued(t *testing.T, bus *inprocess.Bus) *queued {
	q := &queued{Member: bus.Join(nil), wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			q.mu.Lock()
			all := q.waiting
			q.waiting = nil
			q.mu.Unlock()
			for _, bring := range all {
				bring()
			}
			if len(all) > 0 {
				continue
			}
			select {
			case <-q.wake:
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { q.Close(); cancel(); ended.Wait() })
	return q
}

func (q *queued) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[raw]) (*eventtarget.Registration, error) {
	handle := l.Handle
	l.Handle = func(ctx context.Context, e eventtarget.Event[raw]) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.waiting = append(q.waiting, func() { handle(ctx, e) })
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return q.Member.Add(ctx, topic, l)
}

// TestJoinedSlowListener: while a listener that holds up delivery has more to do than a lease
// lasts, the signs of life of the other hubs wait behind that. They are not taken for gone; one
// that does vanish is told.
func TestJoinedSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		hubs, members := joined(t, &bus, 2, hub.Options{})
		var gaps gapCounter
		slow := newHub(t, hub.Options{Echo: true, OnFault: gaps.fault})
		m, err := slow.Join(t.Context(), newQueued(t, &bus), nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ear := new(heard)
		if _, err := slow.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{
			Queue: 1, Overflow: eventtarget.Block,
			Handle: func(ctx context.Context, e eventtarget.Event[raw]) {
				time.Sleep(370 * time.Millisecond)
				ear.handle(ctx, e)
			},
		}); err != nil {
			t.Fatal(err)
		}
		count(t, hubs[0], 0, 30)
		time.Sleep(20 * time.Second)
		if got := ear.payloads(); len(got) != 30 || !isCounting(got) {
			t.Errorf("heard %s", strings.Join(got, " "))
		}
		if n := gaps.n.Load(); n != 0 {
			t.Errorf("%d gaps were told, and nothing was lost", n)
		}
		if n := len(m.Hubs()); n != 3 {
			t.Errorf("it knows of %d hubs", n)
		}
		members[1].Close()
		time.Sleep(5 * time.Second)
		if n := gaps.n.Load(); n != 1 {
			t.Errorf("%d gaps were told when a hub had vanished", n)
		}
	})
}

// vague is a bus that does not say whether it took an event.
type vague struct {
	*inprocess.Member
	on    atomic.Bool
	takes bool
}

func (v *vague) Dispatch(ctx context.Context, e eventtarget.Event[raw]) error {
	if !v.on.Load() || e.Type == "et.hub" {
		return v.Member.Dispatch(ctx, e)
	}
	if v.takes {
		_ = v.Member.Dispatch(ctx, e)
	}
	return eventtarget.ErrUnknownOutcome
}

// TestJoinedUnknownOutcome: of what the bus may have got or not the other hubs are told a gap
// of unknown size: whatever number it had would be wrong in one of the cases.
func TestJoinedUnknownOutcome(t *testing.T) {
	for _, takes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var bus inprocess.Bus
			hubs, _ := joined(t, &bus, 1, hub.Options{})
			gaps, ear := gapsAt(t, hubs[0], hub.Meta{}, "n:*")
			h, on := newHub(t, hub.Options{}), &vague{Member: bus.Join(nil), takes: takes}
			t.Cleanup(func() { on.Close() })
			if _, err := h.Join(t.Context(), on, nil); err != nil {
				t.Fatal(err)
			}
			on.on.Store(true)
			count(t, h, 0, 3)
			on.on.Store(false)
			time.Sleep(5 * time.Second)
			if heard := len(ear.payloads()); takes != (heard == 3) {
				t.Errorf("%d events were heard", heard)
			}
			for n := range strings.FieldsSeq(gaps()) {
				if n != "0" {
					t.Errorf("a gap of %s was told, which nobody can know", n)
				}
			}
			if gaps() == "" {
				t.Error("no gap was told")
			}
		})
	}
}
