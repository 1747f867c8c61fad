package hub_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// ends returns what a bridge between hubs is made of.
type ends func(t *testing.T, h *hub.Hub) eventtarget.Target

// ofHub is the hub itself, ofClient a client of it.
func ofHub(_ *testing.T, h *hub.Hub) eventtarget.Target { return h }
func ofClient(t *testing.T, h *hub.Hub) eventtarget.Target {
	return dial(t, h, "", "", link.Options{})
}

// ring joins hubs by bridges, each with the next. ways are what each bridge is made of.
func ring(t *testing.T, hubs []*hub.Hub, ways ...ends) {
	t.Helper()
	for i, h := range hubs {
		end := ways[i%len(ways)]
		g, err := eventtarget.Bridge(t.Context(), end(t, h), end(t, hubs[(i+1)%len(hubs)]), &eventtarget.BridgeOptions{
			OnFault: func(f eventtarget.Fault) { t.Error(f) },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close() })
	}
}

func newHubs(t *testing.T, n int, o hub.Options) (hubs []*hub.Hub) {
	t.Helper()
	for range n {
		hubs = append(hubs, newHub(t, o))
	}
	return hubs
}

// aroundRing has spokes of all hubs and their owners dispatch, and looks at what each of
// them hears: everything once, in each dispatcher's order, but nothing of what it
// dispatched itself.
func aroundRing(t *testing.T, hubs []*hub.Hub) {
	t.Helper()
	const events = 200
	var all []eventtarget.Target
	var ears []*heard
	for _, h := range hubs {
		for range 2 {
			all = append(all, dial(t, h, "", "", link.Options{Subscribe: len(all)%2 == 1}))
		}
		all = append(all, h)
	}
	for _, one := range all {
		ears = append(ears, listen(t, one, "n:*"))
	}
	var dispatching sync.WaitGroup
	for i, one := range all {
		dispatching.Go(func() {
			for n := range events {
				dispatch(t, one, "n", "from"+strconv.Itoa(i), strconv.Itoa(n))
			}
		})
	}
	dispatching.Wait()
	synctest.Wait()
	for i, ear := range ears {
		_, owner := all[i].(*hub.Hub)
		for j := range all {
			want := events
			if i == j && !owner { // an owner with Echo hears himself
				want = 0
			}
			if got := ear.of("from" + strconv.Itoa(j)); len(got) != want || !isCounting(got) {
				t.Errorf("%d heard %d of %d, want %d: %v", i, len(got), j, want, got)
			}
		}
	}
}

// Law C27: what is dispatched in a ring of hubs is heard once everywhere, whatever its
// bridges are made of: the hubs themselves, clients of them, or both.
func TestLawC27(t *testing.T) {
	for name, ways := range map[string][]ends{
		"hubs": {ofHub}, "clients": {ofClient}, "both": {ofHub, ofClient, ofHub},
	} {
		for n := 2; n <= 4; n++ {
			t.Run(fmt.Sprint(n, " ", name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					hubs := newHubs(t, n, hub.Options{Relay: true, Echo: true, Bridged: true})
					ring(t, hubs, ways...)
					aroundRing(t, hubs)
				})
			})
		}
	}
}

// Law C27, of hubs that are joined by a bus, too: an event that came by a bridge goes over
// the bus and the other way round, and is the same event.
func TestLawC27Joined(t *testing.T) {
	for name, ways := range map[string][]ends{"hubs": {ofHub}, "clients": {ofClient}, "both": {ofHub, ofClient}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := hub.Options{Relay: true, Echo: true, Bridged: true}
				hubs, _ := joined(t, new(inprocess.Bus), 2, o)
				hubs = append(hubs, newHub(t, o)) // not on the bus
				ring(t, hubs, ways...)
				aroundRing(t, hubs)
			})
		})
	}
}

// What a listener holds up is not overtaken by what comes the other way round, as long as the
// listener takes no longer than WriteTimeout. Then it may be waiting for that.
func TestRingSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events, patience = 10, 4 * time.Second // less than that of a bridge
		hubs := newHubs(t, 3, hub.Options{Relay: true, Echo: true, Bridged: true, WriteTimeout: patience})
		ring(t, hubs, ofHub)
		pauses := map[string]time.Duration{"0": patience - time.Millisecond, "10": 3 * patience}
		behind := &heard{}
		for _, handle := range []func(context.Context, eventtarget.Event[raw]){
			func(_ context.Context, e eventtarget.Event[raw]) { time.Sleep(pauses[string(e.Payload)]) }, behind.handle,
		} {
			if _, err := hubs[0].Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: handle}); err != nil {
				t.Fatal(err)
			}
		}
		for n := range events {
			dispatch(t, hubs[1], "n", "", strconv.Itoa(n))
		}
		time.Sleep(patience)
		if got := behind.payloads(); len(got) != events || !isCounting(got) {
			t.Errorf("behind a slow listener: %v", got)
		}
		dispatch(t, hubs[1], "n", "", "10")
		dispatch(t, hubs[1], "n", "", "11")
		time.Sleep(patience - time.Millisecond)
		if got := behind.payloads(); len(got) != events {
			t.Errorf("behind one that is too slow, before it may be overtaken: %v", got)
		}
		time.Sleep(2 * time.Millisecond)
		if got := behind.payloads(); len(got) != events+1 || got[events] != "11" {
			t.Errorf("behind one that is too slow: %v", got)
		}
	})
}
