package quichub_test

import (
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

type event = eventtarget.Event[eventtarget.Raw]

func quiet(eventtarget.Fault) {}

func newSpoke(t *testing.T, address string, o quicspoke.Options) *quicspoke.Spoke {
	t.Helper()
	if o.Identity.Key == nil && o.Identity.Certificate == nil {
		o.Identity = forHub()
	}
	s, err := quicspoke.New(address, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		<-s.Done()
	})
	return s
}

// counted makes target count the numbers that it hears, which must be in order.
func counted(t *testing.T, target eventtarget.Target) *atomic.Int64 {
	t.Helper()
	n := new(atomic.Int64)
	_, err := target.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{
		Inline: true, Handle: func(_ context.Context, e event) {
			if want := strconv.FormatInt(n.Add(1)-1, 10); string(e.Payload) != want {
				t.Errorf("heard %s, want %s", e.Payload, want)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func dispatch(t *testing.T, target eventtarget.Target, n int) {
	t.Helper()
	for i := range n {
		if err := target.Dispatch(t.Context(), event{Type: "n", Payload: json.RawMessage(strconv.Itoa(i))}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestShutdownLosesNothing: from either end, right behind a thousand events.
func TestShutdownLosesNothing(t *testing.T) {
	const rounds, events = 20, 1000
	var took time.Duration
	for range rounds {
		for _, hubEnds := range []bool{true, false} {
			h := newHub(t, quichub.Options{Options: hub.Options{OnFault: quiet}})
			s := newSpoke(t, h.Addr().String(), quicspoke.Options{Options: link.Options{OnFault: quiet}})
			if err := s.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			var from, to eventtarget.Endpoint = s, h
			if hubEnds {
				from, to = h, s
			}
			heard := counted(t, to)
			dispatch(t, from, events)
			began := time.Now()
			if err := from.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			took += time.Since(began)
			if hubEnds && heard.Load() != events { // the hub waits for its spokes
				t.Errorf("behind Shutdown of the hub %d of %d events were heard", heard.Load(), events)
			}
			to.Close()
			<-to.Done()
			if heard.Load() != events {
				t.Errorf("hubEnds=%v: %d of %d events were heard", hubEnds, heard.Load(), events)
			}
		}
	}
	t.Logf("Shutdown takes %v", took/(2*rounds))
}
