package hub_test

import (
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestBehindTail: who comes back to what the log has lost a part of gets what is retained of
// that behind the gap, and the rest, each once.
func TestBehindTail(t *testing.T) {
	topics := []eventtarget.Topic{eventtarget.T("n", "*")}
	for _, policy := range []eventtarget.Overflow{eventtarget.Disconnect, eventtarget.DropOldest, eventtarget.Conflate} {
		for _, c := range []struct {
			topics []eventtarget.Topic
			gap    string
		}{{nil, `__gap: {"count":4}`}, {topics, `__gap: {"count":0}`}} {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, hub.Options{LogEvents: 4, Overflow: policy, Retain: func(eventtarget.Topic) bool { return true }})
				since := h.Position()
				count(t, h, 0, 8)
				p := attach(t, h, hub.Meta{Since: since, Resumes: true, Topics: c.topics})
				p.expect(append([]string{c.gap}, counted(0, 8)...)...)
				count(t, h, 8, 9)
				p.expect(counted(8, 9)...)
			})
		}
	}
}

// TestBehindTailAskedLate: how much who has no topics yet would have heard of what the log has
// lost is not known, nor of what it loses until there are some.
func TestBehindTailAskedLate(t *testing.T) {
	for _, c := range []struct{ before, while int }{{8, 0}, {1, 8}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t, hub.Options{LogEvents: 4, OnlySubscribed: true})
			since := h.Position()
			count(t, h, 0, c.before)
			p := attach(t, h, hub.Meta{Since: since, Resumes: true})
			count(t, h, c.before, c.before+c.while)
			p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:*"]}}`)
			if c.while > 0 {
				p.expect(append([]string{"__subscribed:1 {}", `__gap: {"count":0}`}, counted(5, 9)...)...)
			} else {
				p.expect(`__gap: {"count":0}`, "__subscribed:1 {}")
			}
			count(t, h, 9, 10)
			p.expect(counted(9, 10)...)
		})
	}
}

// TestAuthorizeBehindTail: what the log loses while Authorize is asked is told, to who comes
// back and to who is new.
func TestAuthorizeBehindTail(t *testing.T) {
	for _, resumes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var h *hub.Hub
			asked := 0
			h = newHub(t, hub.Options{LogEvents: 4, Authorize: func(*hub.Spoke, hub.Op, eventtarget.Topic) error {
				if asked++; asked == 2 {
					count(t, h, 1, 9)
				}
				return nil
			}})
			since := h.Position()
			count(t, h, 0, 1)
			p := attach(t, h, hub.Meta{Since: since, Resumes: resumes, Topics: []eventtarget.Topic{eventtarget.T("n", "*")}})
			p.expect(append([]string{`__gap: {"count":0}`}, counted(5, 9)...)...)
		})
	}
}
