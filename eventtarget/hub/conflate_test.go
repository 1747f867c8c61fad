package hub_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// heldHub is a hub whose only snapshot is taken when free is closed. It has nothing in it,
// and what was dispatched before is no more to be heard if it is current.
func heldHub(t *testing.T, o hub.Options, current bool) (h *hub.Hub, free chan struct{}) {
	free = make(chan struct{})
	o.Overflow, o.OnlySubscribed, o.WriteTimeout, o.Heartbeat = eventtarget.Conflate, true, time.Hour, -1
	o.Snapshot = func(*hub.Spoke, eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
		<-free
		if !current {
			return nil, hub.Position{}
		}
		return nil, h.Position()
	}
	h = newHub(t, o)
	return h, free
}

// TestConflateFull: what waits behind something that is no message, such as a snapshot that
// is still to come, is the last of each topic also when more topics wait than may.
func TestConflateFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, topics = 32, 100
		h, free := heldHub(t, hub.Options{SpokeEvents: most}, false)
		p := attach(t, h, hub.Meta{})
		p.subscribe("n:*")
		var want []string
		for round := range 3 {
			for n := range topics {
				dispatch(t, h, "n", fmt.Sprint(n), fmt.Sprint(round))
			}
		}
		for n := topics - most; n < topics; n++ {
			want = append(want, fmt.Sprintf("n:%d 2", n))
		}
		for n := topics - 1; n >= topics-most/2; n-- { // they wait already
			dispatch(t, h, "n", fmt.Sprint(n), "3")
			want = append(slices.DeleteFunc(want, func(m string) bool { return m == fmt.Sprintf("n:%d 2", n) }), fmt.Sprintf("n:%d 3", n))
		}
		close(free)
		synctest.Wait()
		told := 0
		got := slices.DeleteFunc(p.take(), func(m string) bool {
			var n int
			_, err := fmt.Sscanf(m, `__gap: {"count":%d}`, &n)
			told += n
			return err == nil
		})
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if st := p.spoke.Stats(); 3*topics+most/2 != len(got)+told+int(st.Conflated) || int(st.Lost) != told {
			t.Errorf("it got %d and was told that %d are lost: %+v", len(got), told, st)
		}
	})
}

// TestConflateSnapshot: an event that a snapshot took the place of is none that the next one
// on its topic takes the place of.
func TestConflateSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, free := heldHub(t, hub.Options{}, true)
		p := attach(t, h, hub.Meta{})
		p.subscribe("n:*")
		for n := range 3 {
			dispatch(t, h, "n", fmt.Sprint(n), "0")
		}
		close(free)
		synctest.Wait()
		for n := range 3 {
			dispatch(t, h, "n", fmt.Sprint(n), "1")
		}
		p.expect("n:0 1", "n:1 1", "n:2 1")
	})
}

// TestSnapshotOwn: a snapshot takes the place of what was dispatched to all before, and not of
// what was dispatched to the spoke alone.
func TestSnapshotOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, free := heldHub(t, hub.Options{}, true)
		p := attach(t, h, hub.Meta{Identity: "me"})
		p.subscribe("*")
		dispatch(t, h, "n", "", "0")
		dispatch(t, p.spoke, "n", "own", "1")
		if err := h.Identity("me").Dispatch(t.Context(), event("n", "me", "2")); err != nil {
			t.Error(err)
		}
		dispatch(t, h, "n", "", "3")
		close(free)
		p.expect("n:own 1", "n:me 2")
	})
}
