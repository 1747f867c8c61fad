package hub_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		a, b, c := attach(t, h, hub.Meta{ID: "a"}), attach(t, h, hub.Meta{ID: "b"}), attach(t, h, hub.Meta{ID: "c"})
		g := h.Group("red")
		if err := g.Dispatch(t.Context(), event("x", "", "0")); err != nil || g.Len() != 0 || len(h.Groups()) != 0 {
			t.Errorf("an empty group: %v, %d members, groups %v", err, g.Len(), h.Groups())
		}
		if !a.spoke.Join("red") || !b.spoke.Join("red") || b.spoke.Join("red") || !b.spoke.Join("blue") {
			t.Error("Join is true once for each member")
		}
		if got := h.Groups(); !maps.Equal(got, map[string]int{"red": 2, "blue": 1}) {
			t.Errorf("groups: %v", got)
		}
		if got := b.spoke.Groups(); !slices.Equal(got, []string{"blue", "red"}) {
			t.Errorf("the groups of b: %v", got)
		}
		if err := g.Dispatch(t.Context(), event("x", "1", "1")); err != nil {
			t.Error(err)
		}
		a.expect("x:1 1")
		b.expect("x:1 1")
		c.expect()
		if !a.spoke.Leave("red") || a.spoke.Leave("red") {
			t.Error("Leave is true once")
		}
		b.conn.Cut()
		synctest.Wait()
		if got := h.Groups(); len(got) != 0 {
			t.Errorf("groups that outlive their members: %v", got)
		}
		if b.spoke.Join("red") {
			t.Error("a spoke that has left joined a group")
		}
	})
}

func TestExceptWhereIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		a, b, c := attach(t, h, hub.Meta{ID: "a", Identity: "ann"}), attach(t, h, hub.Meta{ID: "b", Identity: "ann"}), attach(t, h, hub.Meta{ID: "c"})
		c.subscribe("x:*") // in its inbox rather than in the log
		for _, except := range [][]*hub.Spoke{{a.spoke}, {c.spoke}, {a.spoke, c.spoke}} {
			if err := h.DispatchExcept(t.Context(), event("x", "", "0"), except...); err != nil {
				t.Error(err)
			}
		}
		a.expect("x: 0")
		b.expect("x: 0", "x: 0", "x: 0")
		c.expect("x: 0")
		keep := func(s *hub.Spoke) bool { return s.ID() > "a" && s.Stats().Waiting == 0 && len(s.Subscriptions()) == 1 }
		if err := h.Where(keep).Dispatch(t.Context(), event("y", "", "1")); err != nil {
			t.Error(err)
		}
		a.expect()
		b.expect("y: 1")
		c.expect("y: 1") // it is addressed, and need not have asked
		if err := h.Identity("ann").Dispatch(t.Context(), event("y", "", "2")); err != nil || h.Identity("ann").Len() != 2 || h.Identity("").Len() != 0 {
			t.Error(err, h.Identity("ann").Len(), h.Identity("").Len())
		}
		a.expect("y: 2")
		b.expect("y: 2")
		c.expect()
	})
}

// TestOneOrder: what one goroutine dispatches, by whatever way, arrives in that
// order, also at those who take it out of their inbox only (law C21).
func TestOneOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		a, b := attach(t, h, hub.Meta{ID: "a"}), attach(t, h, hub.Meta{ID: "b"})
		b.subscribe("n:*")
		a.spoke.Join("g")
		b.spoke.Join("g")
		var want []string
		for n := range 400 {
			e := event("n", "", fmt.Sprint(n))
			want = append(want, "n: "+fmt.Sprint(n))
			for _, p := range []*peer{a, b} {
				if n%4 == 0 {
					dispatch(t, p.spoke, "n", "", fmt.Sprint(n))
				}
			}
			var err error
			switch n % 4 {
			case 1:
				err = h.Dispatch(t.Context(), e)
			case 2:
				err = h.Group("g").Dispatch(t.Context(), e)
			case 3:
				err = h.DispatchExcept(t.Context(), e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		a.spoke.Disconnect(eventtarget.Reason{Code: eventtarget.CodeNormal})
		b.spoke.Disconnect(eventtarget.Reason{Code: eventtarget.CodeNormal})
		a.expect(want...)
		b.expect(want...)
		if r := a.reason(); r.Code != eventtarget.CodeNormal {
			t.Error(r)
		}
	})
}

// TestGroupChurn: joining, leaving and dispatching at the same time neither races nor
// leaves an empty group behind.
func TestGroupChurn(t *testing.T) {
	h := newHub(t, hub.Options{})
	var spokes []*hub.Spoke
	for range 8 {
		spokes = append(spokes, attach(t, h, hub.Meta{}).spoke)
	}
	var wg sync.WaitGroup
	for _, s := range spokes {
		wg.Go(func() {
			for range 200 {
				s.Join("g")
				_ = h.Group("g").Dispatch(context.Background(), event("x", "", "0"))
				s.Leave("g")
			}
		})
	}
	wg.Wait()
	if got := h.Groups(); len(got) != 0 {
		t.Errorf("groups: %v", got)
	}
}

// TestNoGroupWithoutName: the empty name is nobody's, at one hub as over many.
func TestNoGroupWithoutName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1, OnlySubscribed: true})
		defer h.Close()
		p := attach(t, h, hub.Meta{})
		if p.spoke.Join("") || p.spoke.Leave("") || len(p.spoke.Groups()) > 0 || len(h.Groups()) > 0 {
			t.Error("there is a group without a name")
		}
		if err := h.Group("").Dispatch(t.Context(), event("a", "", "1")); err != nil {
			t.Error(err)
		}
		p.expect()
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
