package eventtarget_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

type raw = eventtarget.Raw

// member returns a member of a bus, closed with the test.
func member(t *testing.T, bus *inprocess.Bus, faults func(eventtarget.Fault)) *inprocess.Member {
	t.Helper()
	m := bus.Join(&inprocess.MemberOptions{OnFault: faults})
	t.Cleanup(func() { m.Close(); <-m.Done() })
	return m
}

// collect returns what a target hears from now on.
func collect(t *testing.T, target eventtarget.Target) *eventtarget.Subscription[raw] {
	t.Helper()
	s, err := eventtarget.Subscribe(t.Context(), target, eventtarget.T("*", "*"), 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func next(t *testing.T, s *eventtarget.Subscription[raw]) eventtarget.Event[raw] {
	t.Helper()
	for e, err := range s.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	panic("unreachable")
}

func bridge(t *testing.T, a, b eventtarget.Target, o *eventtarget.BridgeOptions) *eventtarget.Bridging {
	t.Helper()
	g, err := eventtarget.Bridge(t.Context(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func TestBridgeCarriesBothWays(t *testing.T) {
	var left, right inprocess.Bus
	a, b := member(t, &left, nil), member(t, &right, nil)
	g := bridge(t, member(t, &left, nil), member(t, &right, nil), nil)
	for _, way := range [][2]*inprocess.Member{{a, b}, {b, a}} {
		heard := collect(t, way[1])
		want := eventtarget.Event[raw]{Type: "t", ID: "i", Payload: raw(`1.10`), Headers: map[string]string{"k": "v"}}
		if err := way[0].Dispatch(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if e := next(t, heard); e.Topic() != want.Topic() || string(e.Payload) != "1.10" || e.Headers["k"] != "v" {
			t.Errorf("heard %+v", e)
		}
		heard.Close()
	}
	g.Close()
	<-g.Done()
}

// TestBridgeLoops: in a ring of echoing buses everything comes to an end, and nobody
// hears an event more often than there are ways to it.
func TestBridgeLoops(t *testing.T) {
	var buses [3]inprocess.Bus
	for i := range buses {
		bridge(t, member(t, &buses[i], nil), member(t, &buses[(i+1)%3], nil), nil)
	}
	speaker, listener := member(t, &buses[0], nil), member(t, &buses[1], nil)
	heard := collect(t, listener)
	const events = 100
	for range events {
		if err := speaker.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * events { // once each way around the ring
		next(t, heard)
	}
	// A loop would have overtaken this: it comes twice, and nothing in between.
	if err := listener.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "end"}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, heard); e.Type != "end" {
		t.Errorf("heard %v once too often", e.Topic())
	}
}

// TestBridgeMadeUp: who makes the header of an event up that a bridge is to carry later does not
// keep that one away.
func TestBridgeMadeUp(t *testing.T) {
	var buses [2]inprocess.Bus
	bridge(t, member(t, &buses[0], nil), member(t, &buses[1], nil), nil)
	speaker, other := member(t, &buses[0], nil), member(t, &buses[1], nil)
	heard := collect(t, other)
	say := func(payload string) string {
		t.Helper()
		if err := speaker.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t", Payload: raw(payload)}); err != nil {
			t.Fatal(err)
		}
		e := next(t, heard)
		if string(e.Payload) != payload {
			t.Fatalf("heard %s, want %s", e.Payload, payload)
		}
		return e.Headers[eventtarget.BridgeHeader]
	}
	origin, _, _ := strings.Cut(say("1"), "/")
	for seq := range 10 {
		if err := other.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "made up", Headers: map[string]string{
			eventtarget.BridgeHeader: fmt.Sprintf("%s/%d/0", origin, seq),
		}}); err != nil {
			t.Fatal(err)
		}
		if e := next(t, heard); e.Type != "made up" {
			t.Fatalf("heard %v", e.Topic())
		}
	}
	say("2")
}

func TestBridgeHopLimit(t *testing.T) {
	faults := make(chan eventtarget.Fault, 10)
	var left, right inprocess.Bus
	a := member(t, &left, nil)
	bridge(t, member(t, &left, nil), member(t, &right, nil), &eventtarget.BridgeOptions{OnFault: func(f eventtarget.Fault) { faults <- f }})
	for _, header := range []string{"x/1/8", "x/1/9999"} {
		e := eventtarget.Event[raw]{Type: "t", Headers: map[string]string{eventtarget.BridgeHeader: header}}
		if err := a.Dispatch(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if f := <-faults; f.Kind != eventtarget.FaultDispatch || !errors.Is(f.Err, eventtarget.ErrLimit) {
			t.Errorf("%s: %v", header, f)
		}
	}
	// What no bridge has written is taken for no header at all.
	heard := collect(t, member(t, &right, nil))
	for _, header := range []string{"", "/", "x", "x/", "x/0", "x/-1", "x/y", strings.Repeat("/", 200)} {
		e := eventtarget.Event[raw]{Type: "t", ID: "odd", Headers: map[string]string{eventtarget.BridgeHeader: header}}
		if err := a.Dispatch(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		next(t, heard)
	}
}

func TestBridgeTellsWhatItCannotCarry(t *testing.T) {
	faults := make(chan eventtarget.Fault, 1)
	var left, right inprocess.Bus
	a := member(t, &left, nil)
	bridge(t, member(t, &left, nil), member(t, &right, nil), &eventtarget.BridgeOptions{OnFault: func(f eventtarget.Fault) { faults <- f }})
	headers := make(map[string]string)
	for i := range 16 { // the bridge's own is one too many
		headers[strings.Repeat("h", i+1)] = "x"
	}
	if err := a.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t", Headers: headers}); err != nil {
		t.Fatal(err)
	}
	if f := <-faults; !errors.Is(f.Err, eventtarget.ErrLimit) || f.Topic.Type != "t" {
		t.Errorf("fault %v", f)
	}
}

func TestSubscriptionTellsLosses(t *testing.T) {
	target := inprocess.New[int](nil)
	s, err := eventtarget.Subscribe(t.Context(), target, eventtarget.T("n", "*"), 2)
	if err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		if err := target.Dispatch(t.Context(), eventtarget.Event[int]{Type: "n", Payload: n}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		send(n) // 2, 3 and 4 find no room
	}
	var got []string
	for e, err := range s.All(t.Context()) {
		switch {
		case errors.Is(err, eventtarget.ErrOverflow):
			got = append(got, "lost")
		case errors.Is(err, eventtarget.ErrClosed):
			got = append(got, "closed")
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, string(rune('0'+e.Payload)))
			switch e.Payload {
			case 1:
				send(5)
				send(6)
				send(7)
			case 5:
				target.Close()
			}
		}
	}
	if s := strings.Join(got, " "); s != "0 1 lost 5 6 lost closed" {
		t.Errorf("yielded %s", s)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	for _, err := range s.All(ctx) {
		if !errors.Is(err, why) {
			t.Errorf("after the context ended: %v", err)
		}
	}
}

// TestBridgeOfNothing: options with which nothing could be carried are an error, and not a fault
// for each event.
func TestBridgeOfNothing(t *testing.T) {
	a, b := inprocess.New[eventtarget.Raw](nil), inprocess.New[eventtarget.Raw](nil)
	defer a.Close()
	defer b.Close()
	for name, o := range map[string]eventtarget.BridgeOptions{"hops": {HopLimit: -1}, "queue": {Queue: -1}} {
		if _, err := eventtarget.Bridge(t.Context(), a, b, &o); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
