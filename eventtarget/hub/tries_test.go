package hub_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/hublog"
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
				log := hublog.New()
				stuck := &stuckStore{sharedStore: log.Open()}
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
				count(t, c, 0, 2)
				later.expect("n:0 0", "n:1 1")
				seq := log.Seq()
				close(free)
				synctest.Wait()
				if r, ends := later.spoke.Reason(); ends {
					t.Fatalf("the later attempt ends with %v", r)
				}
				if code := ended(t, older); code != eventtarget.CodeTryLater {
					t.Errorf("the older attempt ends with %v", code)
				}
				if n := len(peersOf(at)); n != 1 {
					t.Errorf("%d spokes where the later attempt is", n)
				}
				later.send(`{"type":"m","id":""}`)
				synctest.Wait()
				later.conn.Cut()
				synctest.Wait()
				// One that begins only now reads of both attempts, too.
				for n, h := range []*hub.Hub{sharing(t, log, hub.Options{}), a, b, c} {
					p, again := open(t, h, "ada", resumeAt(w, 2, seq)+fmt.Sprintf(`,"try":%d`, n+3))
					if !again.Resumed || again.Received != 1 {
						t.Errorf("welcomed with %+v in the end", again)
					}
					p.expect()
					p.conn.Cut()
				}
			})
		})
	}
}

// lateReader is a way to a log that is read late.
type lateReader struct {
	*sharedStore
	busy atomic.Pointer[chan struct{}] // nil, or what the next record waits for
}

func (l *lateReader) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		for r, err := range l.sharedStore.Follow(ctx) {
			if busy := l.busy.Load(); busy != nil {
				<-*busy
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// A peer that comes back to a hub which has not read yet that it was at another one goes on
// where it was there.
func TestSharedComesBackToLateReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		late := &lateReader{sharedStore: log.Open()}
		a, b := newHub(t, hub.Options{Heartbeat: -1, Relay: true, Store: late}), sharing(t, log, hub.Options{})
		p, w := open(t, a, "ada", "")
		p.sendNumbers(0, 1)
		p.conn.Cut()
		synctest.Wait()
		free := make(chan struct{})
		late.busy.Store(&free)
		p, _ = open(t, b, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":1`)
		p.sendNumbers(1, 3)
		count(t, b, 0, 2)
		p.expect("n:0 0", "n:1 1")
		at := log.Seq()
		p.conn.Cut()
		synctest.Wait()
		first := knock(t, a, "ada", resumeAt(w, 2, at)+`,"try":2`)
		synctest.Wait()
		close(free)
		if code := ended(t, first); code != eventtarget.CodeTryLater {
			t.Fatalf("the first attempt to come back ends with %v", code)
		}
		synctest.Wait()
		p, again := open(t, a, "ada", resumeAt(w, 2, at)+`,"try":3`)
		if !again.Resumed || again.Received != 3 {
			t.Errorf("resumed %t, received %d", again.Resumed, again.Received)
		}
		count(t, b, 2, 3)
		p.expect("n:2 2")
		at = log.Seq()
		p.conn.Cut()
		synctest.Wait()
		if _, again = open(t, b, "ada", resumeAt(w, 3, at)+`,"try":4`); !again.Resumed {
			t.Error("the session is over at the other hub")
		}
	})
}

// A hub to which a peer comes back twice, because the first attempt takes it too long, lets
// the second go on with what the first has brought there.
func TestSharedComesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		stuck := &stuckStore{sharedStore: log.Open()}
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

// What a session sent, and its hub is late in giving to the log, does not count behind the end that
// the session came to elsewhere: there it was sent again.
func TestSharedLateBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		stuck := &stuckStore{sharedStore: log.Open()}
		a, b := newHub(t, hub.Options{Heartbeat: -1, Relay: true, Store: stuck}), sharing(t, log, hub.Options{})
		var all []*heard
		for _, h := range []*hub.Hub{a, b} {
			all = append(all, listen(t, h, "m:*"))
		}
		p, w := open(t, a, "ada", "")
		free := make(chan struct{})
		stuck.busy.Store(&free)
		p.send(`{"type":"m","id":""}`)
		synctest.Wait()
		p.conn.Cut()
		synctest.Wait()
		q, again := open(t, b, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":1`)
		if !again.Resumed || again.Received != 0 {
			t.Fatalf("welcomed with %+v", again)
		}
		q.send(`{"type":"m","id":""}`)
		synctest.Wait()
		q.conn.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
		synctest.Wait()
		close(free)
		synctest.Wait()
		all = append(all, listen(t, sharing(t, log, hub.Options{}), "m:*"))
		for n, ear := range all {
			if got, want := len(ear.payloads()), []int{1, 1, 0}[n]; got != want {
				t.Errorf("hub %d hears it %d times, not %d", n, got, want)
			}
		}
	})
}

// What a session says at a hub the listeners there hear behind what it said at another one, also
// when that holds them up.
func TestSharedHeardElsewhereFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		a, b := sharing(t, log, hub.Options{}), sharing(t, log, hub.Options{})
		free, ear := make(chan struct{}), &heard{}
		if _, err := b.Add(t.Context(), eventtarget.T("m", ""), eventtarget.Listener[raw]{Inline: true, Handle: func(ctx context.Context, e eventtarget.Event[raw]) {
			if string(e.Payload) == "0" {
				<-free
			}
			ear.handle(ctx, e)
		}}); err != nil {
			t.Fatal(err)
		}
		p, w := open(t, a, "ada", "")
		p.send(`{"type":"m","id":"","payload":0}`)
		p.send(`{"type":"m","id":"","payload":1}`)
		synctest.Wait()
		p.conn.Cut()
		synctest.Wait()
		q, again := open(t, b, "ada", resumeAt(w, 0, w.Place.Seq)+`,"try":1`)
		if !again.Resumed || again.Received != 2 {
			t.Fatalf("welcomed with %+v", again)
		}
		q.send(`{"type":"m","id":"","payload":2}`)
		synctest.Wait()
		close(free)
		synctest.Wait()
		if got := ear.payloads(); len(got) != 3 || !isCounting(got) {
			t.Errorf("heard %v", got)
		}
	})
}
