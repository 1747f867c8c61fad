package hub_test

import (
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestOrderWhileConnecting: what is dispatched to all and to a group while a spoke connects that
// is in it arrives in that order, behind what is for it alone (laws C21 and C25).
func TestOrderWhileConnecting(t *testing.T) {
	for name, c := range map[string]struct {
		o      hub.Options
		topics []eventtarget.Topic
		want   []string
	}{
		"everything":           {hub.Options{}, nil, []string{"n: 1", "n: 4", "n: 2", "g: 3", "n: 5"}},
		"everything, conflate": {hub.Options{Overflow: eventtarget.Conflate}, nil, []string{"m: 4", "n: 2", "g: 3", "n: 5"}},
		"a topic":              {hub.Options{OnlySubscribed: true}, []eventtarget.Topic{eventtarget.T("n", "*")}, []string{"n: 1", "n: 4", "n: 2", "g: 3", "n: 5"}},
		"another topic":        {hub.Options{OnlySubscribed: true}, []eventtarget.Topic{eventtarget.T("o", "*")}, []string{"n: 1", "n: 4", "g: 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *hub.Hub
				c.o.OnConnect = func(s *hub.Spoke) {
					own := func(payload string) {
						e := event("n", "", payload)
						if c.o.Overflow == eventtarget.Conflate {
							e.Type = "m"
						}
						if err := s.Dispatch(t.Context(), e); err != nil {
							t.Error(err)
						}
					}
					s.Join("g")
					own("1")
					dispatch(t, h, "n", "", "2")
					if err := h.Group("g").Dispatch(t.Context(), event("g", "", "3")); err != nil {
						t.Error(err)
					}
					own("4")
					dispatch(t, h, "n", "", "5")
				}
				h = newHub(t, c.o)
				attach(t, h, hub.Meta{Topics: c.topics}).expect(c.want...)
			})
		})
	}
}

// TestOrderBeforeItBegins: what is dispatched to a spoke alone once OnConnect has returned does not
// overtake what the same goroutine has dispatched to all before, although it is not settled yet what
// the spoke hears (law C21).
func TestOrderBeforeItBegins(t *testing.T) {
	for name, c := range map[string]struct {
		policy eventtarget.Overflow
		topics []eventtarget.Topic
	}{
		"everything":           {},
		"everything, conflate": {policy: eventtarget.Conflate},
		"a topic":              {topics: []eventtarget.Topic{eventtarget.T("n", "*")}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *hub.Hub
				asked := false
				h = newHub(t, hub.Options{Heartbeat: -1, Overflow: c.policy, OnConnect: func(s *hub.Spoke) {
					if err := s.Dispatch(t.Context(), event("n", "0", "0")); err != nil {
						t.Error(err)
					}
				}, Authorize: func(s *hub.Spoke, _ hub.Op, _ eventtarget.Topic) error {
					if asked { // for the first time it is asked between OnConnect and what it decides
						return nil
					}
					asked = true
					dispatch(t, h, "n", "1", "1")
					if err := s.Dispatch(t.Context(), event("n", "2", "2")); err != nil {
						t.Error(err)
					}
					dispatch(t, h, "n", "3", "3")
					return nil
				}})
				attach(t, h, hub.Meta{Topics: c.topics}).expect("n:0 0", "n:1 1", "n:2 2", "n:3 3")
			})
		})
	}
}
