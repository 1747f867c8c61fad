package hub_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// Law C26: a bus that is stuck or fails neither delays nor loses local delivery, of the
// hub's own events, of its spokes', and of those for a group, whatever waits for the bus;
// who comes then waits no longer than a second. The failure is told here and, once the bus
// is back, as a gap at the other hub.
func TestJoinedLawC26(t *testing.T) {
	for name, c := range map[string]struct {
		stuck bool
		queue int
		most  time.Duration // that dispatching may take
	}{
		"stuck":                     {stuck: true},
		"stuck, with little room":   {stuck: true, queue: 10, most: 200 * time.Millisecond},
		"failing":                   {},
		"failing, with little room": {queue: 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bus inprocess.Bus
				hubs, _ := joined(t, &bus, 1, hub.Options{})
				far, _ := gapsAt(t, hubs[0], hub.Meta{}, "n:*")
				var mu sync.Mutex
				var told []eventtarget.Fault
				h, on := newHub(t, hub.Options{Relay: true, OnConnect: func(s *hub.Spoke) { s.Join("room") }, OnFault: func(f eventtarget.Fault) {
					mu.Lock()
					defer mu.Unlock()
					told = append(told, f)
				}}), newBadBus(t, &bus)
				var fails atomic.Bool
				on.loses = func(eventtarget.Event[raw]) bool { return fails.Load() }
				if _, err := h.Join(t.Context(), on, &hub.JoinOptions{QueueEvents: c.queue}); err != nil {
					t.Fatal(err)
				}
				ear := listen(t, dial(t, h, "a", "", link.Options{Subscribe: true}), "n:*")
				speaker := dial(t, h, "b", "", link.Options{})
				synctest.Wait()
				free := make(chan struct{})
				if c.stuck {
					on.stuck.Store(&free)
				} else {
					fails.Store(true)
				}
				const each = 1000
				began := time.Now()
				for n := range each {
					dispatch(t, h, "n", "own", strconv.Itoa(n))
					dispatchTo(t, h.Group("room").Audience, "n", "group", strconv.Itoa(n))
					dispatch(t, speaker, "n", "spoke", strconv.Itoa(n))
				}
				synctest.Wait()
				if took := time.Since(began); took > c.most {
					t.Errorf("dispatching took %v", took)
				}
				for _, id := range []string{"own", "group", "spoke"} {
					if got := ear.of(id); len(got) != each || !isCounting(got) {
						t.Errorf("heard %d of %s", len(got), id)
					}
				}
				began = time.Now()
				late := listen(t, dial(t, h, "c", "", link.Options{}), "*")
				if took := time.Since(began); took > time.Second {
					t.Errorf("attaching took %v", took)
				}
				dispatch(t, h, "n", "late", "0")
				synctest.Wait()
				if got := late.of("late"); len(got) != 1 {
					t.Errorf("who came late heard %v", got)
				}
				time.Sleep(6 * time.Second) // longer than the bus is waited for
				mu.Lock()
				if len(told) == 0 || told[0].Kind != eventtarget.FaultDispatch {
					t.Errorf("told %v", told)
				}
				mu.Unlock()
				close(free)
				synctest.Wait()
				fails.Store(false)
				time.Sleep(10 * time.Second)
				if got := far(); got == "" {
					t.Error("nothing was told at the other hub")
				}
			})
		})
	}
}

// C26 for what waits for the bus by its nature: who asks for a topic while the bus is stuck
// hears what is dispatched here, and what it asks is bounded by its context.
func TestJoinedLawC26Interest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		h, on := newHub(t, hub.Options{Relay: true}), newBadBus(t, &bus)
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		free := make(chan struct{})
		defer close(free)
		on.adds.Store(&free)
		p := attach(t, h, hub.Meta{ID: "a"})
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:*"]}}`)
		synctest.Wait()
		dispatch(t, h, "n", "", "0")
		p.expect("n: 0")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := h.Add(ctx, eventtarget.T("m", "*"), eventtarget.Func(new(heard).handle))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Second {
			t.Errorf("Add: %v after %v", err, time.Since(began))
		}
		began = time.Now()
		if err := h.Shutdown(t.Context()); err != nil || time.Since(began) > 0 {
			t.Errorf("Shutdown: %v after %v", err, time.Since(began))
		}
	})
}

// A spoke that asks and asks again while the bus is stuck does not make the hub wait for it
// without bound.
func TestJoinedAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		h, on := newHub(t, hub.Options{}), newBadBus(t, &bus)
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		free := make(chan struct{})
		on.adds.Store(&free)
		p := attach(t, h, hub.Meta{})
		before := runtime.NumGoroutine()
		const times = 1000
		for n := range times {
			p.send(fmt.Sprintf(`{"type":"__subscribe","id":"%d","payload":{"topics":["n:*"]}}`, n))
			p.send(`{"type":"__unsubscribe","id":"","payload":{"topics":["n:*"]}}`)
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 200 {
			t.Errorf("%d goroutines wait for the bus", n)
		}
		refused := len(p.take())
		close(free)
		synctest.Wait()
		if answered := len(p.take()); refused+answered != times {
			t.Errorf("%d were refused and %d answered", refused, answered)
		}
	})
}

// Law C27: hubs that are joined by a bus that echoes deliver once, in order, also while what
// others at a hub want changes between types and everything.
func TestJoinedLawC27(t *testing.T) {
	var bus inprocess.Bus
	hubs, _ := joined(t, &bus, 3, hub.Options{Relay: true})
	var ears []*heard
	var speakers []*link.Link
	for i := range hubs {
		speakers = append(speakers, dial(t, hubs[i], "", "", link.Options{Subscribe: true}))
		ears = append(ears, listen(t, dial(t, hubs[i], "", "", link.Options{Subscribe: true}), "n:*"), listen(t, hubs[i], "n:*"))
	}
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for i, topics := range [][]string{{"n:*", "*"}, {"*", "m:*"}, {"m:*", "n:*", "*"}} {
		l := dial(t, hubs[i], "", "", link.Options{Subscribe: true})
		churn.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				topic, _ := eventtarget.ParseTopic(topics[n%len(topics)])
				r, err := l.Add(t.Context(), topic, eventtarget.Func(new(heard).handle))
				if err != nil {
					t.Error(err)
					return
				}
				l.Remove(r)
			}
		})
	}
	const events = 2000
	for n := range events {
		for i, speaker := range speakers {
			dispatch(t, speaker, "n", strconv.Itoa(i), strconv.Itoa(n))
		}
	}
	close(stop)
	churn.Wait()
	for i, ear := range ears {
		for from := range hubs {
			if got := ear.await(strconv.Itoa(from), events); len(got) != events || !isCounting(got) {
				t.Errorf("%d heard %d from hub %d, or not in order", i, len(got), from)
			}
		}
	}
}

// await returns the payloads of the events with an id, once there are so many.
func (h *heard) await(id string, n int) (all []string) {
	for late := time.Now().Add(20 * time.Second); time.Now().Before(late); runtime.Gosched() {
		if all = h.of(id); len(all) >= n {
			break
		}
	}
	return all
}

// C27 for hubs that are joined and bridged as well: an event comes over each way, and no
// event goes round for ever.
func TestJoinedAndBridged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		hubs, _ := joined(t, &bus, 2, hub.Options{Relay: true})
		g, err := eventtarget.Bridge(t.Context(), hubs[0], hubs[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { g.Close(); <-g.Done() }()
		speaker := dial(t, hubs[0], "", "", link.Options{})
		ear := listen(t, dial(t, hubs[1], "", "", link.Options{}), "*")
		for n := range 10 {
			dispatch(t, speaker, "n", "", strconv.Itoa(n))
		}
		synctest.Wait() // which does not return while something goes round
		if got := ear.payloads(); len(got) < 10 || len(got) > 30 {
			t.Errorf("heard %d of 10 events", len(got))
		}
	})
}

// C26 at the end: a bus that is stuck or fails takes no time from the listeners that
// Shutdown lets finish.
func TestJoinedLawC26Shutdown(t *testing.T) {
	for name, stuck := range map[string]bool{"stuck": true, "failing": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var bus inprocess.Bus
				h, on := newHub(t, hub.Options{}), newBadBus(t, &bus)
				if _, err := h.Join(t.Context(), on, nil); err != nil {
					t.Fatal(err)
				}
				var handled atomic.Int32
				if _, err := h.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {
					time.Sleep(100 * time.Millisecond)
					handled.Add(1)
				})); err != nil {
					t.Fatal(err)
				}
				free := make(chan struct{})
				defer close(free)
				if stuck {
					on.stuck.Store(&free)
				} else {
					on.loses = func(eventtarget.Event[raw]) bool { return true }
				}
				l := dial(t, h, "", "", link.Options{})
				for range 10 {
					dispatch(t, l, "n", "", "1")
				}
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				if err := h.Shutdown(ctx); err == nil {
					t.Error("Shutdown does not tell that the other hubs do not know")
				}
				if n := handled.Load(); n != 10 {
					t.Errorf("%d of 10 events were handled", n)
				}
			})
		})
	}
}
