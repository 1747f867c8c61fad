package hub_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// chain joins hubs by bridges with short queues, each with the next.
func chain(t *testing.T, hubs []*hub.Hub, o eventtarget.BridgeOptions, ways ...ends) {
	t.Helper()
	o.Queue = 4
	for i, h := range hubs[:len(hubs)-1] {
		end := ways[i%len(ways)]
		g, err := eventtarget.Bridge(t.Context(), end(t, h), end(t, hubs[i+1]), &o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close() })
	}
}

// ofPatientClient is a client of the hub whose Dispatch waits for room.
func ofPatientClient(t *testing.T, h *hub.Hub) eventtarget.Target {
	return dial(t, h, "", "", link.Options{LogEvents: 4, Overflow: eventtarget.Block})
}

// Along a chain of bridges the slowest sets the pace, in both directions at once: nothing is
// lost for want of room, and nobody waits for himself.
func TestChainPace(t *testing.T) {
	for name, way := range map[string]ends{"hubs": ofHub, "clients": ofPatientClient} {
		for _, o := range []hub.Options{{Relay: true, Echo: true}, {Relay: true, Echo: true, Bridged: true}} {
			t.Run(name+"/bridged="+strconv.FormatBool(o.Bridged), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const events, pause = 200, 10 * time.Millisecond
					hubs := newHubs(t, 4, o)
					chain(t, hubs, eventtarget.BridgeOptions{OnFault: func(f eventtarget.Fault) { t.Error(f) }}, way)
					ears := []*heard{{}, {}}
					for i, h := range []*hub.Hub{hubs[0], hubs[3]} {
						slow := eventtarget.Listener[raw]{Inline: true, Handle: func(ctx context.Context, e eventtarget.Event[raw]) {
							time.Sleep(pause)
							ears[i].handle(ctx, e)
						}}
						if _, err := h.Add(t.Context(), eventtarget.T("n", strconv.Itoa(3*i)), slow); err != nil {
							t.Fatal(err)
						}
					}
					done := make(chan struct{}, 2)
					for from, to := range map[int]string{0: "3", 3: "0"} {
						go func() {
							for n := range events {
								dispatch(t, hubs[from], "n", to, strconv.Itoa(n))
							}
							done <- struct{}{}
						}()
					}
					<-done
					<-done
					time.Sleep(2 * events * pause)
					for i, ear := range ears {
						if got := ear.payloads(); len(got) != events || !isCounting(got) {
							t.Errorf("ear %d heard %d of %d: %v", i, len(got), events, got)
						}
					}
				})
			})
		}
	}
}

// What is stuck at one end of a bridge holds up the other end for the bridge's Timeout, once,
// and is told to lack what came meanwhile. It hears again when it is not stuck any more.
func TestChainStuck(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Minute: time.Minute, -1: 0} {
		t.Run(timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chainStuck(t, timeout, want) })
		})
	}
}

func chainStuck(t *testing.T, timeout, want time.Duration) {
	hubs := newHubs(t, 2, hub.Options{Relay: true, Echo: true})
	var told, late atomic.Int32
	chain(t, hubs, eventtarget.BridgeOptions{Timeout: timeout, OnFault: func(f eventtarget.Fault) {
		if told.Add(1); errors.Is(f.Err, context.DeadlineExceeded) {
			late.Add(1)
		} else if !errors.Is(f.Err, eventtarget.ErrWouldBlock) {
			t.Error(f)
		}
	}}, ofHub)
	ear, free := &heard{}, make(chan struct{})
	stuck := eventtarget.Listener[raw]{Queue: 4, Overflow: eventtarget.Block, Handle: func(ctx context.Context, e eventtarget.Event[raw]) {
		ear.handle(ctx, e)
		<-free
	}}
	if _, err := hubs[1].Add(t.Context(), eventtarget.T("n", "*"), stuck); err != nil {
		t.Fatal(err)
	}
	const events = 100
	began := time.Now()
	for n := range events {
		dispatch(t, hubs[0], "n", "", strconv.Itoa(n))
	}
	if took := time.Since(began); took != want {
		t.Errorf("what is stuck at one end held up the other for %v", took)
	}
	synctest.Wait()
	close(free)
	synctest.Wait()
	before := ear.payloads()
	if len(before)+int(told.Load()) != events || (late.Load() == 1) != (want > 0) {
		t.Errorf("%d heard and %d told of %d, %d of them late", len(before), told.Load(), events, late.Load())
	}
	dispatch(t, hubs[0], "n", "", strconv.Itoa(events))
	synctest.Wait()
	if got := ear.payloads(); len(got) != len(before)+1 {
		t.Errorf("heard when nothing is stuck any more: %v", got[len(before):])
	}
}
