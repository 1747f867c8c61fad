package hub_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

type (
	sharedLog   = hublog.Log
	sharedStore = hublog.Store
)

// TestConformanceShared: hubs that have a log in common keep the laws of one, sessions
// too, although every connection is to another of them.
func TestConformanceShared(t *testing.T) {
	run(t, "two hubs, one log on Redis", true, link.Options{Adapter: "shared", Subscribe: true}, overRedis(t, true))
}

func sharing(t *testing.T, log *sharedLog, o hub.Options) *hub.Hub {
	t.Helper()
	o.Store, o.Relay, o.Heartbeat = log.Open(), true, -1
	return newHub(t, o)
}

// TestSharedGoesOnElsewhere: a spoke goes on at another hub, while the one that it was at
// lives and when that is dead, with what it missed, and hears nothing of its own. What
// arrives over its former connection counts no more.
func TestSharedGoesOnElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		a, b := sharing(t, log, hub.Options{}), sharing(t, log, hub.Options{})
		p, w := open(t, a, "ada", `,"topics":["n:*"]`)
		count(t, b, 0, 2)
		p.send(`{"type":"n","id":"own","payload":1}`)
		synctest.Wait()
		p.expect("n:0 0", "n:1 1")
		at := log.Seq()
		count(t, a, 2, 3)
		q, again := open(t, b, "ada", resumeAt(w, 2, at)+`,"topics":["n:*"]`)
		if !again.Resumed || again.Received != 1 {
			t.Errorf("welcomed with %+v at the other hub", again)
		}
		p.expect("n:2 2")
		if r := p.reason(); r.Code != eventtarget.CodePolicy {
			t.Errorf("the former connection was closed with %v", r)
		}
		q.expect("n:2 2")
		_ = p.conn.Send([]byte(`{"type":"n","id":"late","payload":1}`)) // an error is as good
		q.send(`{"type":"n","id":"own2","payload":1}`)
		count(t, a, 3, 4)
		q.expect("n:3 3")
		at = log.Seq()
		count(t, a, 4, 5)
		b.Close()
		synctest.Wait()

		q, again = open(t, a, "ada", resumeAt(w, 4, at)+`,"topics":["n:*"]`)
		if !again.Resumed || again.Received != 2 {
			t.Errorf("welcomed with %+v after the death of the other hub", again)
		}
		q.expect("n:4 4")
		count(t, a, 5, 6)
		q.expect("n:5 5")
		stranger, again := open(t, a, "eve", resumeAt(w, 4, at)+`,"topics":["n:*"]`)
		if again.Resumed {
			t.Errorf("a stranger was welcomed with %+v", again)
		}
		stranger.expect()
	})
}

// TestSharedAudiences: what is dispatched to a group or an identity reaches it at every hub,
// in order with everything else. Who was away hears what was for its identity; that there
// may have been something for one of its groups it is told.
func TestSharedAudiences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		join := func(s *hub.Spoke) { s.Join("room") }
		a, b := sharing(t, log, hub.Options{OnConnect: join}), sharing(t, log, hub.Options{OnConnect: join})
		p, w := open(t, a, "ada", "")
		for n := range 2 {
			dispatchTo(t, b.Identity("ada"), "i", "", strconv.Itoa(n))
			dispatchTo(t, b.Group("room").Audience, "g", "", strconv.Itoa(n))
			dispatch(t, b, "n", "", strconv.Itoa(n))
		}
		synctest.Wait()
		p.expect("i: 0", "g: 0", "n: 0", "i: 1", "g: 1", "n: 1")
		at := log.Seq()
		p.conn.Cut()
		dispatchTo(t, a.Identity("ada"), "i", "", "2")
		q, _ := open(t, b, "ada", resumeAt(w, 6, at))
		q.expect("i: 2")
		at = log.Seq()
		q.conn.Cut()
		dispatchTo(t, a.Group("room").Audience, "g", "", "2")
		dispatchTo(t, a.Identity("ada"), "i", "", "3")
		p, _ = open(t, a, "ada", resumeAt(w, 7, at))
		p.expect(`__gap: {"count":0}`, "i: 3")
		p.ack(9)
		b.Identity("ada").Disconnect(eventtarget.Reason{Code: eventtarget.CodePolicy})
		if r := p.reason(); r.Code != eventtarget.CodePolicy {
			t.Errorf("closed with %v", r)
		}
	})
}

// TestSharedListeners: the listeners of every hub hear the spokes of all, and may dispatch.
func TestSharedListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		a, b := sharing(t, log, hub.Options{}), sharing(t, log, hub.Options{})
		echo := eventtarget.Listener[raw]{Overflow: eventtarget.Block, Queue: 1, Handle: func(ctx context.Context, e eventtarget.Event[raw]) {
			if err := b.Dispatch(ctx, event("echo", e.ID, string(e.Payload))); err != nil {
				t.Error(err)
			}
		}}
		if _, err := b.Add(t.Context(), eventtarget.T("n", "*"), echo); err != nil {
			t.Fatal(err)
		}
		p, _ := open(t, a, "", `,"topics":["echo:*"]`)
		var want []string
		for n := range 50 { // fewer than are acknowledged at once
			p.send(fmt.Sprintf(`{"type":"n","id":"","payload":%d}`, n))
			want = append(want, fmt.Sprint("echo: ", n))
		}
		synctest.Wait()
		p.expect(want...)
	})
}

// TestSharedLost: where the log has lost some, all who hear anything are told.
func TestSharedLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		a := sharing(t, log, hub.Options{})
		p, _ := open(t, a, "", `,"topics":["n:*"]`)
		count(t, a, 0, 1)
		if err := log.Open().Append([]hub.Record{{Kind: hub.RecordLost}}); err != nil {
			t.Fatal(err)
		}
		count(t, a, 1, 2)
		p.expect("n:0 0", `__gap: {"count":0}`, "n:1 1")
	})
}

// TestSharedHoldsUp: what waits for a listener that holds up delivery is bounded in bytes,
// and what is over that is told.
func TestSharedHoldsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		var lost atomic.Uint64
		a := sharing(t, log, hub.Options{})
		b := sharing(t, log, hub.Options{LogBytes: 1 << 20, OnFault: func(f eventtarget.Fault) {
			if f.Kind == eventtarget.FaultGap {
				lost.Add(f.Count)
			}
		}})
		free, heard := make(chan struct{}), 0
		if _, err := b.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) {
			<-free
			heard++
		}}); err != nil {
			t.Fatal(err)
		}
		p, _ := open(t, a, "", "")
		payload := `"` + strings.Repeat("x", 64<<10) + `"`
		const events = 40
		for range events {
			p.send(`{"type":"n","id":"","payload":` + payload + `}`)
			synctest.Wait()
		}
		close(free)
		synctest.Wait()
		if n := lost.Load(); n < events/2 || heard+int(n) != events {
			t.Errorf("%d were heard and %d lost", heard, n)
		}
	})
}

// TestSharedSaysAgain: a hub that begins when the log's beginning has gone knows the sessions
// and the name nevertheless, which the others have said again.
func TestSharedSaysAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		a := sharing(t, log, hub.Options{})
		p, w := open(t, a, "ada", `,"topics":["m:*"]`)
		const repeats = 16384
		count(t, a, 0, repeats)
		at := log.Seq()
		dispatch(t, a, "m", "", "1")
		p.expect("m: 1")
		b := newHub(t, hub.Options{Store: log.OpenBehind(repeats / 2), Relay: true, Heartbeat: -1})
		q, again := open(t, b, "ada", resumeAt(w, 0, at)+`,"topics":["m:*"]`)
		if !again.Resumed || again.Place.Store != w.Place.Store {
			t.Errorf("welcomed with %+v", again)
		}
		q.expect("m: 1")
	})
}

// TestSharedFallsSilent: the sessions of a hub that says nothing any more are forgotten once
// their time is over.
func TestSharedFallsSilent(t *testing.T) {
	for minutes, want := range map[int]bool{1: true, 5: false} {
		synctest.Test(t, func(t *testing.T) {
			log := hublog.New()
			a, b := sharing(t, log, hub.Options{}), sharing(t, log, hub.Options{})
			_, w := open(t, a, "ada", "")
			a.Close()
			time.Sleep(time.Duration(minutes) * time.Minute) // of the bubble's time
			if _, again := open(t, b, "ada", resumeAt(w, 0, w.Place.Seq)); again.Resumed != want {
				t.Errorf("after %d minutes it goes on: %v", minutes, again.Resumed)
			}
		})
	}
}

// TestSharedKnowsNoGap: hubs that have a log in common lose nothing with one of them, nor
// with the bus over which they ask each other: no spoke is told a gap, and who runs the hub
// is told what happened.
func TestSharedKnowsNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		var mu sync.Mutex
		var faults []eventtarget.Fault
		log := hublog.New()
		a := sharing(t, log, hub.Options{OnFault: func(f eventtarget.Fault) {
			mu.Lock()
			defer mu.Unlock()
			faults = append(faults, f)
		}})
		b := sharing(t, log, hub.Options{})
		on := &flaky{Member: bus.Join(nil)}
		for h, way := range map[*hub.Hub]eventtarget.Endpoint{a: on, b: bus.Join(nil)} {
			t.Cleanup(func() { way.Close() })
			if _, err := h.Join(t.Context(), way, nil); err != nil {
				t.Fatal(err)
			}
		}
		p, _ := open(t, a, "ada", `,"topics":["n:*"]`)
		on.tell(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: 7})
		b.Close()
		time.Sleep(5 * time.Second) // of the bubble's time: longer than its lease
		count(t, a, 0, 1)
		p.expect("n:0 0")
		mu.Lock()
		defer mu.Unlock()
		if len(faults) != 1 || faults[0].Kind != eventtarget.FaultDisconnected || !strings.Contains(faults[0].Error(), "a hub has gone without a word") {
			t.Errorf("told: %v", faults)
		}
	})
}
