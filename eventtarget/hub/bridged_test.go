package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// What a bridge brings to one of the hubs on a bus, or with a log in common, is heard by the
// owners of all, who hear nothing of what those dispatch themselves.
func TestBridgedToJoined(t *testing.T) {
	o := hub.Options{Relay: true, Bridged: true}
	for name, start := range map[string]func(t *testing.T) []*hub.Hub{
		"bus": func(t *testing.T) []*hub.Hub { hubs, _ := joined(t, new(inprocess.Bus), 2, o); return hubs },
		"log": func(t *testing.T) []*hub.Hub {
			log := hublog.New()
			return []*hub.Hub{sharing(t, log, o), sharing(t, log, o)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hubs := append(start(t), newHub(t, o))
				if _, err := eventtarget.Bridge(t.Context(), hubs[0], hubs[2], nil); err != nil {
					t.Fatal(err)
				}
				var ears []*heard
				for _, h := range hubs[:2] {
					ears = append(ears, listen(t, h, "n:*"), listen(t, dial(t, h, "", "", link.Options{}), "n:*"))
				}
				dispatch(t, dial(t, hubs[2], "", "", link.Options{}), "n", "far", "0")
				dispatch(t, hubs[0], "n", "own", "0")
				synctest.Wait()
				for i, ear := range ears {
					if far, own := len(ear.of("far")), len(ear.of("own")); far != 1 || own != i%2 {
						t.Errorf("%d heard %d events from far and %d of the hub's own", i, far, own)
					}
				}
			})
		})
	}
}

// What one hub took first goes over the bus in its order, whoever brings it to another.
func TestBridgedOrderOnBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		o := hub.Options{Relay: true, Bridged: true}
		hubs, _ := joined(t, &bus, 1, o)
		h, on := newHub(t, o), newBadBus(t, &bus)
		free := make(chan struct{})
		on.loses = func(e eventtarget.Event[raw]) bool {
			if string(e.Payload) == "0" {
				<-free
			}
			return false
		}
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		ear := listen(t, dial(t, hubs[0], "", "", link.Options{}), "n:*")
		ways := []eventtarget.Target{h, dial(t, h, "", "", link.Options{}), dial(t, h, "", "", link.Options{}), h}
		for n, way := range ways {
			if err := way.Dispatch(t.Context(), bridgedEvent(fmt.Sprintf("x/%d/1", n), strconv.Itoa(n))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		close(free)
		synctest.Wait()
		if got := ear.payloads(); len(got) != len(ways) || !isCounting(got) {
			t.Errorf("heard at the other hub: %v", got)
		}
	})
}

// bridgedEvent is an event that some bridge may have brought.
func bridgedEvent(header, payload string) eventtarget.Event[raw] {
	e := event("n", "", payload)
	e.Headers = map[string]string{eventtarget.BridgeHeader: header, "k": "v"}
	return e
}

// headers returns the headers of bridges in what was heard.
func (h *heard) headers() (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		all = append(all, e.Headers[eventtarget.BridgeHeader])
	}
	return all
}

// What a bridge brings is heard by all, the hub's own listeners too, and a repeat by nobody,
// whoever brings it; it is taken in nevertheless. What is dispatched anew by who heard it at
// the hub that took it first is no repeat.
func TestBridgedTakesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Relay: true, Bridged: true})
		p, w := open(t, h, "ada", "")
		owner, spoke := listen(t, h, "n:*"), listen(t, p.spoke, "n:*")
		ear := listen(t, dial(t, h, "", "", link.Options{}), "n:*")
		for n, header := range []string{"x/1/1", "x/2/1", "x/1/1", "x/1/7", "y/1/1"} {
			if err := h.Dispatch(t.Context(), bridgedEvent(header, strconv.Itoa(n))); err != nil {
				t.Fatal(err)
			}
			p.send(fmt.Sprintf(`{"type":"n","id":"","payload":%d,"headers":{"bridge":"z/%s"}}`, n, header))
		}
		synctest.Wait()
		for name, got := range map[string][]string{"owner": owner.headers(), "other": ear.headers()} {
			if slices.Sort(got); fmt.Sprint(got) != "[x/1/1 x/2/1 y/1/1 z/x/1/1 z/x/2/1 z/y/1/1]" {
				t.Errorf("the %s heard %v", name, got)
			}
		}
		if got := spoke.headers(); fmt.Sprint(got) != "[z/x/1/1 z/x/2/1 z/y/1/1]" {
			t.Errorf("the spoke's listener heard %v", got)
		}
		p.conn.Cut()
		synctest.Wait()
		if _, back := open(t, h, "ada", resume(w, 3)); back.Received != 5 || !back.Resumed {
			t.Errorf("five messages of the peer, repeats among them: %+v", back)
		}
		dispatch(t, h, "n", "", "9")
		synctest.Wait()
		ear.mu.Lock()
		mine := ear.events[len(ear.events)-1]
		ear.mu.Unlock()
		if err := h.Dispatch(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
		if at := strings.LastIndexByte(mine.Headers[eventtarget.BridgeHeader], '/'); at > 0 {
			mine.Headers = map[string]string{eventtarget.BridgeHeader: mine.Headers[eventtarget.BridgeHeader][:at] + "/1"}
		}
		if err := h.Dispatch(t.Context(), mine); err != nil { // as it comes back over a bridge
			t.Fatal(err)
		}
		synctest.Wait()
		if got := ear.headers()[6:]; len(got) != 2 || got[0] == got[1] || !strings.HasSuffix(got[1], "/0") {
			t.Errorf("what the hub dispatched, and again: %v", got)
		}
	})
}

// What a spoke makes up that is no end of a bridge keeps nothing away of what a bridge brings, and
// goes on like any other of its events.
func TestBridgedBy(t *testing.T) {
	for name, bridged := range map[string]bool{"bridged": true, "not": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := eventtarget.Limits{Message: 1000}
				h := newHub(t, hub.Options{
					Relay: true, Bridged: bridged, Limits: limits, BridgedBy: func(s *hub.Spoke) bool { return s.Identity() == "hub" },
				})
				owner, ear := listen(t, h, "n:*"), listen(t, dial(t, h, "", "", link.Options{}), "n:*")
				spoke, end := dial(t, h, "", "ada", link.Options{}), dial(t, h, "", "hub", link.Options{})
				large := strconv.Quote(strings.Repeat("x", 970)) // there is no room for a header of the hub's
				for _, d := range []struct {
					by      eventtarget.Target
					payload string
				}{{spoke, "1"}, {spoke, large}, {end, "2"}} {
					if err := d.by.Dispatch(t.Context(), bridgedEvent("x/1/1", d.payload)); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				for name, heard := range map[string]*heard{"owner": owner, "other": ear} {
					got := heard.headers()
					if len(got) != 3 || strings.HasSuffix(got[0], "/0") != bridged || got[0] == "x/1/1" || got[1] != "" || got[2] != "x/1/1" {
						t.Errorf("the %s heard %q", name, got)
					}
					for _, e := range heard.events {
						if e.Headers["k"] != "v" {
							t.Errorf("the %s heard %v", name, e.Headers)
						}
					}
					if got := heard.payloads(); !slices.Equal(got, []string{"1", large, "2"}) {
						t.Errorf("the %s heard %q", name, got)
					}
				}
			})
		})
	}
}

// TestBridgedByPanics: a function that panics believes nobody, is told, and stops nobody.
func TestBridgedByPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []eventtarget.Fault
		h := newHub(t, hub.Options{
			Relay: true, BridgedBy: func(*hub.Spoke) bool { panic("no") }, OnFault: func(f eventtarget.Fault) { told = append(told, f) },
		})
		spoke, ear := dial(t, h, "", "", link.Options{}), listen(t, dial(t, h, "", "", link.Options{}), "n:*")
		if err := spoke.Dispatch(t.Context(), bridgedEvent("x/1/1", "1")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := ear.headers(); !slices.Equal(got, []string{""}) {
			t.Errorf("heard %q", got)
		}
		if len(told) != 1 || told[0].Kind != eventtarget.FaultPanic || len(told[0].Stack) == 0 {
			t.Errorf("told %v", told)
		}
	})
}

// The header takes room: an event that has none goes to all at its own hub, and the bridge
// tells that it cannot carry it. What is for some has no header.
func TestBridgedHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := eventtarget.Limits{Message: 1000}
		hubs := newHubs(t, 2, hub.Options{Relay: true, Echo: true, Bridged: true, Limits: limits})
		var told []eventtarget.Fault
		var mu sync.Mutex
		g, err := eventtarget.Bridge(t.Context(), hubs[0], hubs[1], &eventtarget.BridgeOptions{OnFault: func(f eventtarget.Fault) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, f)
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		speaker := dial(t, hubs[0], "", "", link.Options{Limits: limits})
		near, far := listen(t, dial(t, hubs[0], "near", "", link.Options{Limits: limits}), "n:*"), listen(t, dial(t, hubs[1], "", "", link.Options{}), "n:*")
		crowded := event("n", "", "1")
		crowded.Headers = make(map[string]string)
		for n := range eventtarget.DefaultMaxHeaders {
			crowded.Headers[strconv.Itoa(n)] = ""
		}
		large := event("n", "", strconv.Quote(strings.Repeat("x", 1000-3)))
		for _, from := range []eventtarget.Target{hubs[0], speaker} {
			for _, e := range []eventtarget.Event[raw]{crowded, large} {
				if err := from.Dispatch(t.Context(), e); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
		}
		if got := near.headers(); fmt.Sprintf("%q", got) != `["" "" "" ""]` {
			t.Errorf("heard at the hub itself: %q", got)
		}
		if got := far.headers(); len(got) != 0 {
			t.Errorf("heard at the other one: %q", got)
		}
		mu.Lock()
		for n, f := range told {
			if want := []error{eventtarget.ErrLimit, eventtarget.ErrTooLarge}[n%2]; !errors.Is(f.Err, want) {
				t.Errorf("fault %d: %v, want %v", n, f, want)
			}
		}
		if len(told) != 4 {
			t.Errorf("%d faults: %v", len(told), told)
		}
		mu.Unlock()
		s, _ := hubs[0].Spoke("near")
		for _, to := range []eventtarget.Target{s, hubs[0]} {
			dispatch(t, to, "n", "", "2")
		}
		dispatchTo(t, hubs[0].Where(func(*hub.Spoke) bool { return true }), "n", "", "3")
		synctest.Wait()
		if got := near.headers()[4:]; len(got) != 3 || got[0] != "" || !strings.HasSuffix(got[1], "/0") || got[2] != "" {
			t.Errorf("the headers of what is for one, all and some: %q", got)
		}
	})
}

// What was not accepted may come again; what may have been may not.
func TestBridgedTakesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Overflow: eventtarget.Block, LogEvents: 128, WriteTimeout: time.Hour, Heartbeat: -1, Bridged: true})
		p := attach(t, h, hub.Meta{})
		p.conn.Stall()
		var n int
		for err := error(nil); err == nil; n++ {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err = h.Dispatch(ctx, bridgedEvent(fmt.Sprintf("x/%d/1", n), "0"))
			cancel()
		}
		p.conn.Resume()
		for range 2 {
			if err := h.Dispatch(t.Context(), bridgedEvent(fmt.Sprintf("x/%d/1", n-1), "1")); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := p.take(); len(got) != n || got[n-1] != "n: 1" {
			t.Errorf("%d of %d, the last one %q", len(got), n, got[len(got)-1])
		}

		m := &memory{}
		h = storedHub(t, m, hub.Options{Bridged: true})
		p, _ = open(t, h, "", "")
		free := m.stick()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Dispatch(ctx, bridgedEvent("x/1/1", "1")); !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			t.Errorf("Dispatch: %v", err)
		}
		close(free)
		for range 2 {
			if err := h.Dispatch(t.Context(), bridgedEvent("x/1/1", "2")); err != nil {
				t.Fatal(err)
			}
		}
		p.expect("n: 1")
	})
}

// Events of one origin stay in order where one of them is held up, and who gives up waiting
// lets nobody overtake.
func TestBridgedKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{Bridged: true})
		p, _ := open(t, h, "", "")
		own := listen(t, h, "n:*")
		free := m.stick()
		outcomes := make([]error, 4)
		var dispatching sync.WaitGroup
		for n := range outcomes {
			dispatching.Go(func() {
				ctx := t.Context()
				if n == 1 {
					late, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					ctx = late
				}
				outcomes[n] = h.Dispatch(ctx, bridgedEvent(fmt.Sprintf("x/%d/1", n), strconv.Itoa(n)))
			})
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		close(free)
		dispatching.Wait()
		if !errors.Is(outcomes[1], context.DeadlineExceeded) || outcomes[0] != nil || outcomes[2] != nil || outcomes[3] != nil {
			t.Errorf("outcomes: %v", outcomes)
		}
		p.expect("n: 0", "n: 2", "n: 3")
		if got := own.payloads(); fmt.Sprint(got) != "[0 2 3]" {
			t.Errorf("the hub's own listener heard %v", got)
		}
	})
}

// Hubs that share a log find repeats in its order, all the same ones, also a hub that begins
// later: a bridge to each of them brings an event once.
func TestBridgedShared(t *testing.T) {
	for name, way := range map[string]ends{"hubs": ofHub, "clients": ofClient} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { bridgeShared(t, way) })
		})
	}
}

func bridgeShared(t *testing.T, way ends) {
	log := hublog.New()
	o := hub.Options{Echo: true, Bridged: true}
	hubs := []*hub.Hub{sharing(t, log, o), sharing(t, log, o), newHub(t, hub.Options{Relay: true, Echo: true, Bridged: true})}
	p, w := open(t, hubs[0], "ada", "")
	ring(t, hubs, way)
	var ears []*heard
	for _, h := range hubs {
		ears = append(ears, listen(t, h, "n:*"), listen(t, dial(t, h, "", "", link.Options{}), "n:*"))
	}
	const events = 50
	for n := range events {
		for i, h := range hubs {
			dispatch(t, h, "n", "from"+strconv.Itoa(i), strconv.Itoa(n))
		}
	}
	synctest.Wait()
	for i, ear := range ears {
		for j := range hubs {
			if got := ear.of("from" + strconv.Itoa(j)); len(got) != events || !isCounting(got) {
				t.Errorf("%d heard %d of %d: %v", i, len(got), j, got)
			}
		}
	}
	if got := p.take(); len(got) != 3*events {
		t.Errorf("the spoke was sent %d of %d", len(got), 3*events)
	}
	p.conn.Cut()
	begun := sharing(t, log, o)
	late, back := open(t, begun, "ada", resumeAt(w, 0, w.Place.Seq))
	if got := late.take(); !back.Resumed || len(got) != 3*events {
		t.Errorf("at a hub that began later it is sent %d of %d, %+v", len(got), 3*events, back)
	}
}
