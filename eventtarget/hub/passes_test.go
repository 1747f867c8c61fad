package hub_test

import (
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestStorePasses: who has not come back yet to a hub with a store is told a gap for what was
// dispatched to those that it may be of, also when that hub has died, too; and for nothing else.
func TestStorePasses(t *testing.T) {
	for name, c := range map[string]struct {
		dispatch func(h *hub.Hub) hub.Audience
		gap      bool
	}{
		"nothing":               {nil, false},
		"its identity":          {func(h *hub.Hub) hub.Audience { return h.Identity("ada") }, true},
		"another identity":      {func(h *hub.Hub) hub.Audience { return h.Identity("eve") }, false},
		"a group":               {func(h *hub.Hub) hub.Audience { return h.Group("g").Audience }, true},
		"those of which it may": {func(h *hub.Hub) hub.Audience { return h.Where(func(*hub.Spoke) bool { return true }) }, true},
	} {
		for died, again := range map[string]bool{"": false, ", and dies again": true} {
			t.Run(name+died, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := &memory{}
					h := storedHub(t, m, hub.Options{Relay: true})
					p, w := open(t, h, "ada", "")
					count(t, h, 0, 1)
					p.expect("n:0 0")
					crash := func() {
						synctest.Wait()
						m = m.crash()
						h.Close()
						synctest.Wait()
						h = storedHub(t, m, hub.Options{Relay: true})
					}
					crash()
					if c.dispatch != nil {
						dispatchTo(t, c.dispatch(h), "m", "", "1")
					}
					count(t, h, 1, 2)
					if again {
						crash()
					}
					p, _ = open(t, h, "ada", resumeAt(w, 1, 1))
					want := []string{"n:1 1"}
					if c.gap {
						want = []string{`__gap: {"count":0}`, "n:1 1"}
					}
					p.expect(want...)
				})
			})
		}
	}
}
