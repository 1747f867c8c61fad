package hub_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestTypedSpokeTellsFaults: a spoke is a target, so that what a view of it cannot decode is
// told (law B12), with whom it came from.
func TestTypedSpokeTellsFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := make(chan eventtarget.Fault, 9)
		h := newHub(t, hub.Options{Heartbeat: -1, OnFault: func(f eventtarget.Fault) { faults <- f }})
		defer h.Close()
		p := attach(t, h, hub.Meta{ID: "ann"})
		view := eventtarget.Typed(p.spoke, eventtarget.JSON[int]())
		if _, err := view.Add(t.Context(), eventtarget.T("a", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[int]) {
			t.Error("a text was taken for a number")
		})); err != nil {
			t.Fatal(err)
		}
		p.send(`{"type":"a","id":"","payload":"text"}`)
		synctest.Wait()
		select {
		case f := <-faults:
			if f.Kind != eventtarget.FaultDecode || f.Peer != "ann" || f.Adapter != "hub" {
				t.Error(f)
			}
		default:
			t.Error("nobody was told")
		}
		p.spoke.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDispatch})
		if f := <-faults; f.Peer != "ann" {
			t.Error(f)
		}
	})
}

// TestSpokeIsGoneWithItsHub: who answers a peer that has left is told the same whether the
// peer went or the hub.
func TestSpokeIsGoneWithItsHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1})
		p := attach(t, h, hub.Meta{})
		h.Close()
		<-p.spoke.Done()
		err := p.spoke.Dispatch(t.Context(), event("a", "", "1"))
		if !errors.Is(err, eventtarget.ErrGone) || !errors.Is(err, eventtarget.ErrClosed) {
			t.Error(err)
		}
	})
}

// TestHeaderNames: HTTP does not tell X-User from x-user, so neither does a spoke.
func TestHeaderNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1})
		defer h.Close()
		s := attach(t, h, hub.Meta{Headers: map[string]string{"x-user": "ann"}}).spoke
		for name, want := range map[string]string{"x-user": "ann", "X-User": "ann", "X-Users": "", "": ""} {
			if got := s.Header(name); got != want {
				t.Errorf("%q: %q", name, got)
			}
		}
	})
}

// TestShutdownOvertakenByClose: a Shutdown that waits for a spoke does not say that everything
// was drained when a Close discards what the spoke lacks.
func TestShutdownOvertakenByClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1, SessionTimeout: -1})
		p := attach(t, h, hub.Meta{})
		synctest.Wait()
		p.conn.Stall()
		for range 1000 {
			dispatch(t, h, "a", "", `"`+strings.Repeat("x", 1000)+`"`)
		}
		result := make(chan error, 1)
		go func() { result <- h.Shutdown(context.Background()) }()
		synctest.Wait()
		h.Close()
		if err := <-result; !errors.Is(err, eventtarget.ErrClosed) {
			t.Error(err)
		}
		p.conn.Resume()
	})
}

// TestAuthorizePanics: what a peer asks for does not end the process: it is refused, and told.
func TestAuthorizePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := make(chan eventtarget.Fault, 9)
		h := newHub(t, hub.Options{
			Heartbeat: -1, Relay: true, OnFault: func(f eventtarget.Fault) { faults <- f },
			Authorize: func(_ *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
				if topic.Type == "bad" {
					panic("what is that?")
				}
				return nil
			},
		})
		defer h.Close()
		other, p := attach(t, h, hub.Meta{}), attach(t, h, hub.Meta{ID: "ann"})
		p.send(`{"type":"bad","id":"","payload":1}`)
		p.send(`{"type":"good","id":"","payload":2}`)
		synctest.Wait()
		other.expect("good: 2")
		if f := <-faults; f.Kind != eventtarget.FaultPanic || f.Peer != "ann" || !strings.Contains(f.Error(), "Authorize panicked: what is that?") {
			t.Error(f)
		}
		for _, m := range p.take() {
			if strings.Contains(m, "what is that") {
				t.Errorf("the peer is told %s", m)
			}
		}
	})
}

// TestExceptNobody: who leaves out the spoke that an event came from, if it came from one, need
// not ask whether it did.
func TestExceptNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1})
		defer h.Close()
		p, left := attach(t, h, hub.Meta{}), attach(t, h, hub.Meta{})
		except := []*hub.Spoke{nil, left.spoke}
		if err := h.DispatchExcept(t.Context(), event("a", "", "1"), except...); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.expect("a: 1")
		if got := left.take(); len(got) > 0 || except[0] != nil || except[1] != left.spoke {
			t.Error(got, except)
		}
	})
}
