package hub_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// knock sends a greeting to a hub that may be slow to answer it.
func knock(t *testing.T, h *hub.Hub, identity, more string) *link.PipeConn {
	t.Helper()
	near, far := link.Pipe()
	if err := near.Send([]byte(`{"type":"__hello","id":"","payload":{"version":1` + more + `}}`)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = h.Attach(negotiated{far}, hub.Meta{Identity: identity}) }()
	return near
}

// ended returns how a connection was closed.
func ended(t *testing.T, c *link.PipeConn) eventtarget.Code {
	t.Helper()
	for {
		if _, err := c.Receive(); err != nil {
			reason, ok := errors.AsType[eventtarget.Reason](err)
			if !ok {
				t.Fatalf("closed with %v", err)
			}
			return reason.Code
		}
	}
}

// An attempt to come back that was held up at one hub takes nothing from a later one.
func TestSharedOlderAttempt(t *testing.T) {
	for name, elsewhere := range map[string]bool{"at the hub where it was": false, "at a third hub": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newSharedLog()
				stuck := &stuckStore{sharedStore: log.open()}
				a := newHub(t, hub.Options{Heartbeat: -1, Relay: true, Store: stuck})
				b, c := sharing(t, log, hub.Options{}), sharing(t, log, hub.Options{})
				p, w := open(t, b, "ada", "")
				p.conn.Cut()
				free := make(chan struct{})
				stuck.busy.Store(&free)
				older := knock(t, a, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":1`)
				time.Sleep(time.Second)
				at := b
				if elsewhere {
					at = c
				}
				later, again := open(t, at, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":2`)
				if !again.Resumed {
					t.Fatal("the later attempt is not resumed")
				}
				close(free)
				synctest.Wait()
				if elsewhere {
					if code := ended(t, older); code != eventtarget.CodeTryLater {
						t.Errorf("the older attempt ends with %v", code)
					}
					if n := len(peersOf(at)); n != 1 {
						t.Errorf("%d spokes where the later attempt is", n)
					}
					later.conn.Cut()
				} else if code := ended(t, later.conn); code != eventtarget.CodeTryLater {
					t.Errorf("the later attempt ends with %v: its peer would not come again", code)
				}
				synctest.Wait()
				for _, h := range []*hub.Hub{a, b, c} {
					p, again := open(t, h, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":3`)
					if !again.Resumed {
						t.Error("not resumed in the end")
					}
					p.conn.Cut()
				}
			})
		})
	}
}

// A hub to which a peer comes back twice, because the first attempt takes it too long, lets
// the second go on with what the first has brought there.
func TestSharedComesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newSharedLog()
		stuck := &stuckStore{sharedStore: log.open()}
		a, b := newHub(t, hub.Options{Heartbeat: -1, Relay: true, Store: stuck}), sharing(t, log, hub.Options{})
		p, w := open(t, b, "ada", "")
		p.conn.Cut()
		free := make(chan struct{})
		stuck.busy.Store(&free)
		first := knock(t, a, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":1`)
		time.Sleep(time.Second)
		time.AfterFunc(time.Second, func() { close(free) })
		if _, again := open(t, a, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":2`); !again.Resumed {
			t.Error("the second attempt is not resumed")
		}
		if code := ended(t, first); code != eventtarget.CodePolicy {
			t.Errorf("the first attempt ends with %v", code)
		}
		if n := len(peersOf(a)); n != 1 {
			t.Errorf("one peer is %d spokes", n)
		}
		// The first one arrives once more, late.
		if code := ended(t, knock(t, a, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":1`)); code != eventtarget.CodeTryLater {
			t.Errorf("an older attempt ends with %v", code)
		}
	})
}

func peersOf(h *hub.Hub) (all []*hub.Spoke) {
	for s := range h.Spokes() {
		all = append(all, s)
	}
	return all
}
