package hub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

func TestInterest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		all, some := attach(t, h, hub.Meta{ID: "all"}), attach(t, h, hub.Meta{ID: "some"})
		dispatch(t, h, "a", "1", "0") // before it ever subscribed
		some.expect("a:1 0")
		some.subscribe("a:1", "a:*", "b:2")
		for _, topic := range []string{"a:1", "a:2", "b:1", "b:2", "c:"} {
			typ, id, _ := strings.Cut(topic, ":")
			dispatch(t, h, typ, id, "1")
		}
		some.expect("a:1 1", "a:2 1", "b:2 1") // once, however many selectors fit
		if n := h.Interested(eventtarget.T("a", "1")); n != 2 {
			t.Errorf("%d spokes want a:1", n)
		}
		some.send(`{"type":"__unsubscribe","id":"","payload":{"topics":["a:*","b:2","z:1"]}}`)
		synctest.Wait()
		dispatch(t, h, "a", "1", "2")
		dispatch(t, h, "a", "2", "2")
		dispatch(t, h, "b", "2", "2")
		some.expect("a:1 2")
		some.subscribe("*") // everything again, and a:1 not twice
		dispatch(t, h, "a", "1", "3")
		dispatch(t, h, "c", "", "3")
		some.expect("a:1 3", "c: 3")
		some.send(`{"type":"__unsubscribe","id":"","payload":{"topics":["*"]}}`)
		synctest.Wait()
		dispatch(t, h, "c", "", "4")
		dispatch(t, h, "a", "1", "4")
		some.expect("a:1 4")
		all.expect("a:1 0", "a:1 1", "a:2 1", "b:1 1", "b:2 1", "c: 1", "a:1 2", "a:2 2", "b:2 2", "a:1 3", "c: 3", "c: 4", "a:1 4")
	})
}

func TestOnlySubscribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{OnlySubscribed: true, Subscriptions: 2})
		p := attach(t, h, hub.Meta{ID: "p"})
		dispatch(t, h, "a", "", "0")
		dispatch(t, p.spoke, "a", "", "1") // it is addressed
		p.expect("a: 1")
		p.send(`{"type":"__subscribe","id":"7","payload":{"topics":["a:","b:","c:"]}}`)
		p.expect(`__subscribed:7 {"refused":{"c:":"limit reached: 2 subscriptions"}}`)
		dispatch(t, h, "b", "", "2")
		dispatch(t, h, "c", "", "2")
		p.expect("b: 2")
	})
}

func TestBadControl(t *testing.T) {
	for _, msg := range []string{
		`{"type":"__subscribe","id":""}`,
		`{"type":"__subscribe","id":"","payload":7}`,
		`{"type":"__subscribe","id":"","payload":{"topics":["no colon"]}}`,
		`{"type":"__unsubscribe","id":"","payload":{"topics":["*:x"]}}`,
	} {
		t.Run(msg, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, hub.Options{})
				p, witness := attach(t, h, hub.Meta{}), attach(t, h, hub.Meta{})
				p.send(msg)
				if r := p.reason(); r.Code != eventtarget.CodeMalformed {
					t.Error(r)
				}
				dispatch(t, h, "a", "", "1")
				witness.expect("a: 1")
				if n := h.Interested(eventtarget.T("a", "")); n != 1 {
					t.Errorf("%d spokes are thought to listen", n)
				}
			})
		})
	}
}

func TestAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revoked := false
		h := newHub(t, hub.Options{Authorize: func(s *hub.Spoke, op hub.Op, topic eventtarget.Topic) error {
			if topic.Type == "open" && !revoked {
				return nil
			}
			return fmt.Errorf("%s may not %v %v", s.ID(), op, topic)
		}})
		heard := listen(t, h, "*")
		p := attach(t, h, hub.Meta{ID: "p"})
		dispatch(t, h, "secret", "", "0")
		dispatch(t, h, "open", "", "0")
		p.expect() // it may not have everything, and so gets nothing unasked
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["open:*","secret:*"]}}`)
		p.expect(`__subscribed:1 {"refused":{"secret:*":"p may not subscribe secret:*"}}`)
		dispatch(t, h, "secret", "", "1")
		dispatch(t, h, "open", "", "1")
		p.expect("open: 1")
		p.send(`{"type":"secret","id":"","payload":2}`)
		p.send(`{"type":"open","id":"","payload":2}`)
		p.expect(`__refused: {"topic":"secret:","reason":"p may not dispatch secret:"}`)
		if got := heard.payloads(); len(got) != 1 || got[0] != "2" || h.Stats().Refused != 1 {
			t.Errorf("the hub heard %q, refused %d", got, h.Stats().Refused)
		}
		if h.Revoke(p.spoke) {
			t.Error("revoked what is allowed")
		}
		revoked = true
		if !h.Revoke(p.spoke) {
			t.Error("nothing was revoked")
		}
		if r := p.reason(); r.Code != eventtarget.CodePolicy || !r.Remote {
			t.Error(r)
		}
	})
}

// TestRevokeMeanwhile: what is revoked between the moment at which it is allowed and the one
// at which it holds is revoked, whether the spoke asked for it or gets it unasked.
func TestRevokeMeanwhile(t *testing.T) {
	for name, asks := range map[string]bool{"asked": true, "unasked": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *hub.Hub
				var calls int
				h = newHub(t, hub.Options{OnFault: ignore, OnlySubscribed: asks, Authorize: func(s *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
					if calls++; calls > 1 {
						return fmt.Errorf("%v is withdrawn", topic)
					}
					calls++ // whoever has asked goes by what was so far
					h.Revoke(s)
					return nil
				}})
				p := attach(t, h, hub.Meta{})
				if asks {
					p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["open:*"]}}`)
				}
				synctest.Wait()
				if r, ended := p.spoke.Reason(); !ended || r.Code != eventtarget.CodePolicy {
					t.Errorf("it goes on, or ended with %v", r)
				}
			})
		})
	}
}

func TestIdentityTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Duplicates: hub.Replace})
		first := attach(t, h, hub.Meta{ID: "1", Identity: "ann"})
		heard := listen(t, h, "*")
		second := attach(t, h, hub.Meta{ID: "2", Identity: "ann"})
		if r := first.reason(); r.Code != eventtarget.CodePolicy {
			t.Error(r)
		}
		_ = first.conn.Send([]byte(`{"type":"late","id":""}`)) // an error is as good
		second.send(`{"type":"x","id":""}`)
		synctest.Wait()
		if len(heard.payloads()) != 1 || h.Identity("ann").Len() != 1 {
			t.Errorf("heard %q, %d spokes", heard.payloads(), h.Identity("ann").Len())
		}

		h = newHub(t, hub.Options{Duplicates: hub.Refuse})
		attach(t, h, hub.Meta{Identity: "ann"})
		attach(t, h, hub.Meta{}) // nobody is no identity
		attach(t, h, hub.Meta{})
		_, far := link.Pipe()
		if _, err := h.Attach(far, hub.Meta{Identity: "ann"}); !errors.Is(err, eventtarget.ErrForbidden) {
			t.Error(err)
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Spokes: 4, SpokesPerAddr: 2})
		for _, addr := range []string{"192.0.2.1:1", "192.0.2.1:2", "[2001:db8::1]:1"} {
			attach(t, h, hub.Meta{Addr: addr})
		}
		if err := h.Admit("192.0.2.1:9"); !errors.Is(err, eventtarget.ErrLimit) || !strings.Contains(err.Error(), "192.0.2.1") {
			t.Error(err)
		}
		last := attach(t, h, hub.Meta{Addr: "[2001:db8::2]:1"})
		_, far := link.Pipe()
		if _, err := h.Attach(far, hub.Meta{}); !errors.Is(err, eventtarget.ErrLimit) {
			t.Error(err)
		}
		last.conn.Cut()
		synctest.Wait()
		if err := h.Admit("[2001:db8::3]:1"); err != nil {
			t.Errorf("a place that is free again: %v", err)
		}
		attach(t, h, hub.Meta{Addr: "[2001:db8::3]:1"})
		if h.Len() != 4 {
			t.Errorf("%d spokes", h.Len())
		}
		h.SetSpokes(5, 3)
		if err := h.Admit("192.0.2.1:9"); err != nil {
			t.Errorf("within the new bounds: %v", err)
		}
		h.SetSpokes(3, 0)
		if err := h.Admit("198.51.100.1:9"); !errors.Is(err, eventtarget.ErrLimit) || h.Len() != 4 {
			t.Errorf("over the new bounds: %v, %d spokes", err, h.Len())
		}
	})
}

// TestSessionNoTopics: what wants no topics is sent none, also if it was sent everything
// unasked before.
func TestSessionNoTopics(t *testing.T) {
	refuse := func(_ *hub.Spoke, op hub.Op, topic eventtarget.Topic) error {
		if op == hub.OpSubscribe && topic.Type == "secret" {
			return errors.New("not this one")
		}
		return nil
	}
	for name, ask := range map[string]func(t *testing.T, h *hub.Hub, p *peer, w welcome) *peer{
		"back": func(t *testing.T, h *hub.Hub, p *peer, w welcome) *peer {
			p.conn.Cut()
			q, _ := open(t, h, "", resume(w, 1)+`,"topics":[]`)
			return q
		},
		"back, and refused": func(t *testing.T, h *hub.Hub, p *peer, w welcome) *peer {
			p.conn.Cut()
			q, _ := open(t, h, "", resume(w, 1)+`,"topics":["secret:*"]`)
			return q
		},
		"refused": func(_ *testing.T, _ *hub.Hub, p *peer, _ welcome) *peer {
			p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["secret:*"]}}`)
			p.expect(`__subscribed:1 {"refused":{"secret:*":"not this one"}}`)
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := sessionHub(t, hub.Options{Authorize: refuse})
				p, w := open(t, h, "", "")
				count(t, h, 0, 1)
				p.expect(counted(0, 1)...)
				p = ask(t, h, p, w)
				count(t, h, 1, 3)
				p.expect()
				p.subscribe("n:*")
				count(t, h, 3, 5)
				p.expect(counted(3, 5)...)
			})
		})
	}
}

// TestTopicsAtOnce: who comes with topics has them from where it came (C07, C25): what was
// retained before, what OnConnect dispatches to all, and what follows, each once.
func TestTopicsAtOnce(t *testing.T) {
	topics := []eventtarget.Topic{eventtarget.T("n", "*"), eventtarget.T("last", "one"), eventtarget.T("kept", "*")}
	for name, come := range map[string]func(t *testing.T, h *hub.Hub) *peer{
		"a plain peer": func(t *testing.T, h *hub.Hub) *peer { return attach(t, h, hub.Meta{Topics: topics}) },
		"from a place": func(t *testing.T, h *hub.Hub) *peer {
			return attach(t, h, hub.Meta{Topics: topics, Since: h.Position()})
		},
		"in a greeting": func(t *testing.T, h *hub.Hub) *peer {
			p, _ := open(t, h, "", `,"topics":["n:*","last:one","kept:*"]`)
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *hub.Hub
				h = sessionHub(t, hub.Options{
					Retain: func(topic eventtarget.Topic) bool { return topic.Type == "last" || topic.Type == "kept" },
					OnConnect: func(s *hub.Spoke) {
						count(t, h, 2, 3)
						dispatch(t, h, "other", "", "3")
						dispatch(t, s, "n", "own", "0")
						dispatch(t, h, "last", "one", "4")
					},
				})
				count(t, h, 0, 1)
				dispatch(t, h, "last", "one", "1")
				dispatch(t, h, "kept", "", "1")
				p := come(t, h)
				count(t, h, 5, 6)
				p.expect("n:own 0", "kept: 1", "n:2 2", "last:one 4", "n:5 5")
				p.subscribe("other:*", "n:*")
				p.expect()
			})
		})
	}
}
