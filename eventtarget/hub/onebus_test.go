package hub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// TestJoinedOverOneTarget: two hubs that are joined by one and the same target, which has
// another listener too, leave what it delivers as it is: each hears what it dispatched itself
// no second time, and the other listener sees all headers.
func TestJoinedOverOneTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := new(inprocess.Bus).Join(nil)
		t.Cleanup(func() { on.Close() })
		var hubs []*hub.Hub
		var peers []*peer
		for i := range 2 {
			h := newHub(t, hub.Options{})
			if _, err := h.Join(t.Context(), on, &hub.JoinOptions{Name: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			p := attach(t, h, hub.Meta{})
			p.subscribe("n:*")
			hubs, peers = append(hubs, h), append(peers, p)
		}
		synctest.Wait()
		const events = 10
		var mu sync.Mutex
		whole := 0
		if _, err := on.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
			mu.Lock()
			defer mu.Unlock()
			if e.Headers["hub"] != "" && e.Headers["a"] == "b" {
				whole++
			}
		})); err != nil {
			t.Fatal(err)
		}
		var want []string
		for n := range events {
			e := event("n", fmt.Sprint(n), "1")
			e.Headers = map[string]string{"a": "b"}
			if err := hubs[n%2].Dispatch(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("n:%d 1", n))
			synctest.Wait()
		}
		for _, p := range peers {
			p.expect(want...)
		}
		mu.Lock()
		defer mu.Unlock()
		if whole != events {
			t.Errorf("%d of %d events had all their headers", whole, events)
		}
	})
}
