package hub_test

import (
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestAdded: who comes back and asks for more than before gets of that what one gets that is new,
// and of the rest what it has missed; behind a gap it is new for all of it.
func TestAdded(t *testing.T) {
	const gap = `__gap: {"count":0}`
	var h *hub.Hub
	upTo := func(at func() hub.Position) func(*hub.Spoke, eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
		return func(_ *hub.Spoke, topic eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
			return []eventtarget.Event[raw]{event("state", topic.String(), "0")}, at()
		}
	}
	for name, c := range map[string]struct {
		o          hub.Options
		back, lost []string
	}{
		"nothing kept": {hub.Options{}, []string{"a:1 3", "b:2 4"}, []string{gap}},
		"retained": {
			hub.Options{Retain: func(eventtarget.Topic) bool { return true }},
			[]string{"b:1 2", "a:1 3", "b:2 4"}, []string{gap, "a:1 3", "b:1 2", "b:2 4"},
		},
		"snapshot of now": {
			hub.Options{Snapshot: upTo(func() hub.Position { return h.Position() })},
			[]string{"state:b:* 0", "a:1 3"}, []string{gap, "state:a:* 0", "state:b:* 0"},
		},
		"snapshot of any time": {
			hub.Options{Snapshot: upTo(func() hub.Position { return hub.Position{} })},
			[]string{"state:b:* 0", "a:1 3", "b:2 4"}, []string{gap, "state:a:* 0", "state:b:* 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h = newHub(t, c.o)
				dispatch(t, h, "a", "1", "1")
				dispatch(t, h, "b", "1", "2")
				since := h.Position()
				dispatch(t, h, "a", "1", "3")
				dispatch(t, h, "b", "2", "4")
				added := []eventtarget.Topic{eventtarget.T("b", "*")}
				topics := append([]eventtarget.Topic{eventtarget.T("a", "*")}, added...)
				back := attach(t, h, hub.Meta{Since: since, Resumes: true, Topics: topics, Added: added})
				back.expect(c.back...)
				lost := attach(t, h, hub.Meta{Since: h.ParsePosition("before.7"), Resumes: true, Topics: topics, Added: added})
				lost.expect(c.lost...)
				dispatch(t, h, "b", "1", "5")
				back.expect("b:1 5")
				lost.expect("b:1 5")
			})
		})
	}
}
