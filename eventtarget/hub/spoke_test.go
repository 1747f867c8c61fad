package hub_test

import (
	"context"
	"errors"
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
