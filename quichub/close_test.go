package quichub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
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

// TestNemesisShutdown: from either end, right behind a thousand events, with a good
// network and with one that loses packets.
func TestNemesisShutdown(t *testing.T) {
	t.Parallel()
	rounds := nemesis.Times(200)
	for _, loss := range []int{0, 5} {
		for _, hubEnds := range []bool{true, false} {
			t.Run(fmt.Sprintf("loss=%d%%,hub=%v", loss, hubEnds), func(t *testing.T) {
				t.Parallel()
				var took time.Duration
				heard := 0
				for range rounds {
					d, n := shutdown(t, loss, hubEnds)
					took, heard = took+d, heard+n
				}
				t.Logf("heard %d of %d; Shutdown takes %v", heard, rounds*atOnce, took/time.Duration(rounds))
				if heard != rounds*atOnce {
					t.Errorf("%d of %d events were lost", rounds*atOnce-heard, rounds*atOnce)
				}
			})
		}
	}
}

// atOnce is how many events are dispatched before a Shutdown.
const atOnce = 1000

// shutdown dispatches and shuts down, and returns how long that took and how much was
// heard at the other end.
func shutdown(t *testing.T, loss int, hubEnds bool) (took time.Duration, heard int) {
	t.Helper()
	h := newHub(t, quichub.Options{Options: hub.Options{OnFault: quiet}})
	relay := newRelay(t, h)
	relay.Lose(loss)
	s := newSpoke(t, relay.Addr, quicspoke.Options{Options: link.Options{OnFault: quiet}})
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var from, to eventtarget.Endpoint = s, h
	if hubEnds {
		from, to = h, s
	}
	count := counted(t, to)
	dispatch(t, from, atOnce)
	began := time.Now()
	if err := from.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	took = time.Since(began)
	if n := count.Load(); hubEnds && n != atOnce { // the hub waits for its spokes
		t.Errorf("behind Shutdown of the hub %d of %d events were heard", n, atOnce)
	}
	if !hubEnds {
		<-from.Done()
	}
	to.Close()
	<-to.Done()
	return took, int(count.Load())
}

// TestRestart: a spoke is told when to come back.
func TestRestart(t *testing.T) {
	h := newHub(t, quichub.Options{Options: hub.Options{OnFault: quiet}})
	down := make(chan error, 1)
	s := newSpoke(t, h.Addr().String(), quicspoke.Options{Options: link.Options{OnFault: quiet, OnState: func(c link.Change) {
		if c.State == eventtarget.StateDown {
			select {
			case down <- c.Cause:
			default: // of an attempt to come back
			}
		}
	}}})
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Restart(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	r, ok := errors.AsType[eventtarget.Reason](receive(t, down))
	if !ok || r.Code != eventtarget.CodeRestart || !r.Remote || r.Retry <= 0 || r.Retry > time.Hour+time.Millisecond || r.Text != "" {
		t.Errorf("the spoke is told %+v", r)
	}
}
