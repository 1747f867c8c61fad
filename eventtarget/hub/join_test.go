package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// joined returns hubs on one bus.
func joined(t *testing.T, bus *inprocess.Bus, n int, o hub.Options) (hubs []*hub.Hub, members []*hub.Membership) {
	t.Helper()
	for i := range n {
		h := newHub(t, o)
		on := bus.Join(&inprocess.MemberOptions{OnFault: func(eventtarget.Fault) {}})
		t.Cleanup(func() { on.Close() })
		m, err := h.Join(t.Context(), on, &hub.JoinOptions{Name: string(rune('a' + i))})
		if err != nil {
			t.Fatal(err)
		}
		hubs, members = append(hubs, h), append(members, m)
	}
	return hubs, members
}

func dial(t *testing.T, h *hub.Hub, id, identity string, o link.Options) *link.Link {
	t.Helper()
	near, far := link.Pipe()
	o.Conn, o.OnFault = near, func(eventtarget.Fault) {}
	l, err := link.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); <-l.Done() })
	if _, err := h.Attach(far, hub.Meta{ID: id, Identity: identity}); err != nil {
		t.Fatal(err)
	}
	return l
}

func dispatchTo(t *testing.T, to hub.Audience, eventType, id, payload string) {
	t.Helper()
	if err := to.Dispatch(t.Context(), event(eventType, id, payload)); err != nil {
		t.Fatal(err)
	}
}

// Three hubs on one bus are one hub: everyone hears everything that is dispatched at any
// of them, once, in the order of each dispatcher, and no dispatcher hears itself.
func TestJoinedHubsAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, members := joined(t, new(inprocess.Bus), 3, hub.Options{Relay: true})
		var links []*link.Link
		var ears []*heard
		for i := range 6 {
			l := dial(t, hubs[i%3], "", "", link.Options{Subscribe: i >= 3})
			links = append(links, l)
			ears = append(ears, listen(t, l, "n:*"))
		}
		owners := []*heard{listen(t, hubs[0], "n:*"), listen(t, hubs[1], "*"), listen(t, hubs[2], "n:from0")}
		for n := range 100 {
			for i, l := range links {
				dispatch(t, l, "n", "from"+strconv.Itoa(i), strconv.Itoa(n))
			}
			dispatch(t, hubs[0], "n", "hub", strconv.Itoa(n))
		}
		synctest.Wait()
		for i, ear := range ears {
			for _, from := range []string{"from0", "from1", "from2", "from3", "from4", "from5", "hub"} {
				want := 100
				if from == "from"+strconv.Itoa(i) {
					want = 0
				}
				if got := ear.of(from); len(got) != want || !isCounting(got) {
					t.Errorf("spoke %d heard %d of %s, want %d: %v", i, len(got), from, want, got)
				}
			}
		}
		for i, want := range []int{600, 600, 100} {
			if got := len(owners[i].payloads()); got != want {
				t.Errorf("the owner of hub %d heard %d events, want %d", i, got, want)
			}
		}
		for i, m := range members {
			if n := len(m.Hubs()); n != 3 {
				t.Errorf("hub %d knows of %d", i, n)
			}
		}
	})
}

// TestLeftHubs: who has left knows of no others, and asks none.
func TestLeftHubs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, members := joined(t, new(inprocess.Bus), 3, hub.Options{})
		synctest.Wait()
		if err := members[0].Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all := members[0].Hubs(); len(all) != 1 || all[0].Name != "a" {
			t.Errorf("who has left knows of %+v", all)
		}
		if all, err := members[0].Group(t.Context(), "room"); err != nil || len(all.Missing) > 0 {
			t.Errorf("who has left is told %+v, %v", all, err)
		}
		if all := members[1].Hubs(); len(all) != 2 {
			t.Errorf("another knows of %+v", all)
		}
	})
}

// of returns the payloads of the events with an id.
func (h *heard) of(id string) (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events {
		if e.ID == id {
			all = append(all, string(e.Payload))
		}
	}
	return all
}

// A group and the spokes of an identity are those of all hubs: what is dispatched to them,
// and that they are to go; and so they are counted.
func TestJoinedAudiences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hubs, members := joined(t, new(inprocess.Bus), 3, hub.Options{OnConnect: func(s *hub.Spoke) {
			if strings.HasPrefix(s.ID(), "in") {
				s.Join("room")
			}
		}})
		var in, out []*heard
		for i, h := range hubs {
			in = append(in, listen(t, dial(t, h, fmt.Sprint("in", i), "ann", link.Options{}), "*"))
			out = append(out, listen(t, dial(t, h, fmt.Sprint("out", i), "bob", link.Options{}), "*"))
		}
		for n := range 50 {
			dispatchTo(t, hubs[1].Group("room").Audience, "g", "", strconv.Itoa(3*n))
			dispatch(t, hubs[1], "g", "", strconv.Itoa(3*n+1))
			dispatchTo(t, hubs[1].Identity("ann"), "g", "", strconv.Itoa(3*n+2))
		}
		synctest.Wait()
		for i := range hubs {
			if got := in[i].payloads(); len(got) != 150 || !isCounting(got) {
				t.Errorf("the member at hub %d heard %d: %v", i, len(got), got)
			}
			if got := out[i].payloads(); len(got) != 50 {
				t.Errorf("the other at hub %d heard %d", i, len(got))
			}
		}
		tally, err := members[2].Group(t.Context(), "room")
		if err != nil || tally.Count != 3 || len(tally.Spokes) != 3 || len(tally.Missing) != 0 {
			t.Errorf("the group: %+v, %v", tally, err)
		}
		if tally, err = members[0].Identity(t.Context(), "bob"); err != nil || tally.Count != 3 {
			t.Errorf("the identity: %+v, %v", tally, err)
		}
		if tally, err = members[0].Interested(t.Context(), eventtarget.T("g", "")); err != nil || tally.Count != 6 {
			t.Errorf("the topic: %+v, %v", tally, err)
		}
		hubs[0].Identity("bob").Disconnect(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "go"})
		synctest.Wait()
		for i, h := range hubs {
			if n := h.Len(); n != 1 {
				t.Errorf("hub %d has %d spokes when bob is gone", i, n)
			}
		}
	})
}

// TestConformanceJoined: hubs on one bus keep the laws of one.
func TestConformanceJoined(t *testing.T) {
	run(t, "three hubs, joined by Redis", true, link.Options{Adapter: "sessions", Subscribe: true}, overRedis(t, false))
}

// flaky is a bus that takes nothing for a while, or loses something itself.
type flaky struct {
	*inprocess.Member
	broken atomic.Bool
	tell   func(eventtarget.Fault)
}

func (f *flaky) Dispatch(ctx context.Context, e eventtarget.Event[raw]) error {
	if f.broken.Load() {
		return errors.New("the bus is away")
	}
	return f.Member.Dispatch(ctx, e)
}

func (f *flaky) Observe(fn func(eventtarget.Fault)) (stop func()) {
	f.tell = fn
	return func() {}
}

// What the bus did not get, or lost itself, or a hub that vanished may not have handed
// over, is told at the other hubs as a gap, to those who might have heard it. Local delivery
// knows nothing of it.
func TestJoinedGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		o := hub.Options{Relay: true}
		hubs, _ := joined(t, &bus, 1, o)
		h, on := newHub(t, o), &flaky{Member: bus.Join(nil)}
		t.Cleanup(func() { on.Close() })
		m, err := h.Join(t.Context(), on, &hub.JoinOptions{Name: "flaky"})
		if err != nil {
			t.Fatal(err)
		}
		gapsOf := func(h *hub.Hub, topic string) (func() []string, *heard) {
			near, far := link.Pipe()
			var mu sync.Mutex
			var gaps []string
			l, err := link.New(link.Options{Conn: near, Subscribe: true, OnFault: func(f eventtarget.Fault) {
				mu.Lock()
				defer mu.Unlock()
				if f.Kind == eventtarget.FaultGap {
					gaps = append(gaps, strconv.FormatUint(f.Count, 10))
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close(); <-l.Done() })
			if _, err := h.Attach(far, hub.Meta{}); err != nil {
				t.Fatal(err)
			}
			ear := listen(t, l, topic)
			return func() []string {
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				defer func() { gaps = nil }()
				return gaps
			}, ear
		}
		far, heardFar := gapsOf(hubs[0], "n:*")
		other, _ := gapsOf(hubs[0], "else:*")
		near, heardNear := gapsOf(h, "n:*")
		on.broken.Store(true)
		for n := range 5 {
			dispatch(t, h, "n", "", strconv.Itoa(n))
		}
		synctest.Wait()
		on.broken.Store(false)
		dispatch(t, h, "n", "", "5")
		if got := fmt.Sprint(far(), other(), near()); got != "[[5] [] []]" && got != "[5] [] []" {
			t.Errorf("gaps after the bus was away: %s", got)
		}
		if got := heardFar.payloads(); fmt.Sprint(got) != "[5]" {
			t.Errorf("heard at the other hub: %v", got)
		}
		if got := heardNear.payloads(); len(got) != 6 || !isCounting(got) {
			t.Errorf("heard at the hub itself: %v", got)
		}
		on.tell(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: 7})
		if got := fmt.Sprint(far(), other(), near()); got != "[] [] [7]" {
			t.Errorf("gaps after the bus has lost something: %s", got)
		}
		m.Close()
		time.Sleep(5 * time.Second) // longer than its lease
		if got := fmt.Sprint(far(), other(), near()); got != "[0] [0] []" {
			t.Errorf("gaps after a hub has vanished: %s", got)
		}
	})
}

// Of two hubs of one name the others count on the one that joined later.
func TestJoinedTwins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		_, observer := joined(t, &bus, 2, hub.Options{}) // "a" and "b"
		time.Sleep(time.Second)                          // of the bubble's time
		_, twin := joined(t, &bus, 1, hub.Options{})     // another "a"
		id := twin[0].Hubs()[0].ID
		for range 20 {
			time.Sleep(time.Second) // as many signs of life as three leases have
			var seen []string
			for _, m := range observer[1].Hubs()[1:] {
				seen = append(seen, m.ID)
			}
			if len(seen) != 1 || seen[0] != id {
				t.Fatalf("it knows of %v, want %s", seen, id)
			}
		}
	})
}
