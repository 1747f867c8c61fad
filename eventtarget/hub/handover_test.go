package hub_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// TestJoinedShutdownMeanwhile: what a hub accepts while it begins to shut down, for all or for
// a group, it hands over to the others.
func TestJoinedShutdownMeanwhile(t *testing.T) {
	for round := range 40 {
		var bus inprocess.Bus
		var heard, accepted atomic.Int64
		watcher, on := bus.Join(nil), bus.Join(nil)
		t.Cleanup(func() { watcher.Close(); on.Close() })
		if _, err := watcher.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[raw]{
			Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
				if e.Type != "et.hub" {
					heard.Add(1)
				}
			},
		}); err != nil {
			t.Fatal(err)
		}
		h := newHub(t, hub.Options{})
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		begun := make(chan struct{}, 100)
		for n := range 8 {
			dispatch := h.Dispatch
			if n%2 == 1 {
				dispatch = h.Group("room").Dispatch
			}
			all.Go(func() {
				for dispatch(t.Context(), event("n", "", "1")) == nil {
					accepted.Add(1)
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
		}
		for range 50 {
			<-begun
		}
		if err := h.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if heard.Load() != accepted.Load() {
			t.Fatalf("round %d: %d events were accepted, and %d handed over", round, accepted.Load(), heard.Load())
		}
	}
}
