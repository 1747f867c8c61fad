package hub_test

import (
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestSnapshotOfEverything: what a snapshot has a spoke hears once, also one that hears
// everything, before or from then on; and it hears the rest.
func TestSnapshotOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *hub.Hub
		meanwhile := func(*hub.Spoke) {}
		h = newHub(t, hub.Options{OnlySubscribed: true, Snapshot: func(s *hub.Spoke, topic eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
			meanwhile(s)
			return []eventtarget.Event[raw]{event("state", topic.String(), "0")}, h.Position()
		}})
		p := attach(t, h, hub.Meta{})
		meanwhile = func(*hub.Spoke) { dispatch(t, h, "a", "1", "1") }
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["*"]}}`)
		p.expect("__subscribed:1 {}", "state:* 0")
		dispatch(t, h, "a", "1", "2")
		p.expect("a:1 2")
		meanwhile = func(s *hub.Spoke) {
			for _, e := range []eventtarget.Event[raw]{event("a", "1", "3"), event("b", "1", "4"), event("a", "2", "5")} {
				if err := h.Dispatch(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
			if err := h.DispatchExcept(t.Context(), event("a", "1", "6"), s); err != nil {
				t.Error(err)
			}
			if err := s.Dispatch(t.Context(), event("a", "1", "7")); err != nil {
				t.Error(err)
			}
			dispatch(t, h, "b", "1", "8")
		}
		p.send(`{"type":"__subscribe","id":"2","payload":{"topics":["a:*"]}}`)
		p.expect("__subscribed:2 {}", "state:a:* 0", "b:1 4", "a:1 7", "b:1 8")
		dispatch(t, h, "a", "1", "9")
		p.expect("a:1 9")
		if lost := p.spoke.Stats().Lost; lost != 0 {
			t.Errorf("it is said to have lost %d", lost)
		}
	})
}

// TestSnapshotsAtOnce: the same for who asks for everything and for a type at once, and for who is
// sent what is dispatched to all anyway.
func TestSnapshotsAtOnce(t *testing.T) {
	for _, policy := range []eventtarget.Overflow{eventtarget.Disconnect, eventtarget.Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *hub.Hub
				at := 0
				h = newHub(t, hub.Options{Overflow: policy, Snapshot: func(_ *hub.Spoke, topic eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
					dispatch(t, h, "n", strconv.Itoa(at), strconv.Itoa(at))
					at++
					return []eventtarget.Event[raw]{event("n", "upto "+topic.String(), strconv.Itoa(at))}, h.Position()
				}})
				p := attach(t, h, hub.Meta{Topics: []eventtarget.Topic{eventtarget.T("*", "*"), eventtarget.T("n", "*")}})
				p.expect("n:upto * 1", "n:upto n:* 2")
				count(t, h, 2, 3)
				p.expect("n:2 2")
				q := attach(t, h, hub.Meta{})
				at = 3
				q.send(`{"type":"__subscribe","id":"1","payload":{"topics":["*"]}}`)
				q.expect("__subscribed:1 {}", "n:upto * 4")
				p.expect("n:3 3")
				count(t, h, 4, 5)
				q.expect("n:4 4")
			})
		})
	}
}
