package hub_test

import (
	"strconv"
	"strings"
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
				anew := attach(t, h, hub.Meta{Since: since, Resumes: true, HeardNothing: true, Topics: c.topics})
				anew.expect(append([]string{c.gap}, counted(0, 8)...)...)
				count(t, h, 8, 9)
				p.expect(counted(8, 9)...)
				anew.expect(counted(8, 9)...)
			})
		}
	}
}

// TestBehindMuch: who comes back to more than there is room for gets the last of it, behind a gap
// and what is retained up to there, or a snapshot; it is not ended for that, to come back to
// the same.
func TestBehindMuch(t *testing.T) {
	retain := func(eventtarget.Topic) bool { return true }
	snapshot := func(*hub.Spoke, eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
		return []eventtarget.Event[raw]{event("n", "all", "3")}, hub.Position{}
	}
	large := strings.Repeat("9", 950)
	for name, c := range map[string]struct {
		o      hub.Options
		counts int
		large  bool
		want   []string
	}{
		"nothing retained":  {hub.Options{SpokeEvents: 8}, 8, false, append([]string{`__gap: {"count":4}`}, counted(4, 8)...)},
		"retained":          {hub.Options{SpokeEvents: 8, Retain: retain}, 6, false, append([]string{`__gap: {"count":2}`}, counted(0, 6)...)},
		"too much retained": {hub.Options{SpokeEvents: 8, Retain: retain}, 16, false, append([]string{`__gap: {"count":0}`}, counted(10, 16)...)},
		"retained, twice":   {hub.Options{SpokeEvents: 16, LogEvents: 10, Retain: retain}, 13, false, append(append([]string{`__gap: {"count":0}`}, counted(0, 3)...), append([]string{`__gap: {"count":3}`}, counted(3, 13)...)...)},
		"snapshot":          {hub.Options{SpokeEvents: 8, Snapshot: snapshot}, 8, false, []string{`__gap: {"count":0}`, "n:all 3"}},
		"a large one":       {hub.Options{SpokeBytes: 1000}, 1, true, append([]string{`__gap: {"count":1}`}, counted(0, 1)...)},
		"a large one alone": {hub.Options{SpokeBytes: 900}, 0, true, []string{"n:large " + large}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, c.o)
				since := h.Position()
				if c.large {
					dispatch(t, h, "n", "large", large)
				}
				count(t, h, 0, c.counts)
				p := attach(t, h, hub.Meta{Since: since, Resumes: true, Topics: []eventtarget.Topic{eventtarget.T("n", "*")}})
				p.expect(c.want...)
				count(t, h, 20, 21)
				p.expect(counted(20, 21)...)
			})
		})
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

// TestExceptInOnConnect: what OnConnect dispatches to all but the spoke that comes it does not
// hear, whatever it asks for.
func TestExceptInOnConnect(t *testing.T) {
	n := []eventtarget.Topic{eventtarget.T("n", "*")}
	for name, c := range map[string]struct {
		policy eventtarget.Overflow
		topics []eventtarget.Topic
	}{
		"asks for nothing":            {},
		"asks for nothing, conflated": {policy: eventtarget.Conflate},
		"asks":                        {topics: n},
		"asks, conflated":             {policy: eventtarget.Conflate, topics: n},
		"asks for everything":         {topics: []eventtarget.Topic{{Type: "*", ID: "*"}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *hub.Hub
				h = newHub(t, hub.Options{Overflow: c.policy, OnConnect: func(s *hub.Spoke) {
					for i := range 6 {
						var but []*hub.Spoke
						if i != 2 && i != 5 {
							but = []*hub.Spoke{s}
						}
						e := event("n", strconv.Itoa(i), strconv.Itoa(i))
						if err := h.DispatchExcept(t.Context(), e, but...); err != nil {
							t.Error(err)
						}
					}
				}})
				p := attach(t, h, hub.Meta{Topics: c.topics})
				p.expect("n:2 2", "n:5 5")
				count(t, h, 6, 8)
				p.expect(counted(6, 8)...)
			})
		})
	}
}

// TestAsksLater: a session that came back from another process with no topics hears what it
// asks for from then on, and nothing of its own.
func TestAsksLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memory{}
		o := hub.Options{Relay: true}
		p, w := open(t, storedHub(t, store, o), "", `,"topics":[]`)
		p.conn.Cut()
		h := storedHub(t, store.crash(), o)
		p, again := open(t, h, "", resumeAt(w, 0, w.Place.Seq)+`,"topics":[]`)
		if !again.Resumed {
			t.Fatalf("resuming was welcomed with %+v", again)
		}
		p.send(`{"type":"n","id":"own","payload":0}`)
		count(t, h, 1, 3)
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:*"]}}`)
		p.expect("__subscribed:1 {}")
		count(t, h, 3, 5)
		p.expect(counted(3, 5)...)
	})
}

// TestNarrowsBehind: who came back, hears everything and asks for less hears once what had been
// dispatched until then.
func TestNarrowsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		since := h.Position()
		count(t, h, 0, 2)
		p := attach(t, h, hub.Meta{Since: since, Resumes: true})
		p.expect(counted(0, 2)...)
		p.conn.Stall()
		count(t, h, 2, 100)
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:*"]}}`)
		synctest.Wait()
		p.conn.Resume()
		p.expect(append(counted(2, 100), "__subscribed:1 {}")...)
	})
}

// TestExceptBehind: who comes back and asks for something later hears all that it missed, whatever
// was for all but it meanwhile.
func TestExceptBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *hub.Hub
		h = newHub(t, hub.Options{OnlySubscribed: true, OnConnect: func(s *hub.Spoke) {
			if err := h.DispatchExcept(t.Context(), event("m", "", "0"), s); err != nil {
				t.Error(err)
			}
		}})
		since := h.Position()
		count(t, h, 0, 3)
		p := attach(t, h, hub.Meta{Since: since, Resumes: true})
		dispatch(t, p.spoke, "own", "", "1")
		p.expect("own: 1")
		count(t, h, 3, 5)
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:*"]}}`)
		p.expect(append([]string{"__subscribed:1 {}"}, counted(0, 5)...)...)
	})
}
