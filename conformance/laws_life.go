package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var lifeLaws = []Law{
	{"C23", "no-phantom", Must, "a peer that OnConnect fails for or refuses, that hangs up at once or sends nonsense, leaves no spoke and no goroutine",
		"a hub that fills up with spokes that are not there", lawNoPhantom},
	{"C24", "disconnect-once", Must, "OnDisconnect is called once for each spoke that joined, whatever ends it and however often, with the reason; the spoke is inert then",
		"a count of users that drifts, a cleanup that runs twice", lawDisconnectOnce},
	{"C25", "first-events", Must, "what OnConnect dispatches to its spoke arrives first, then all that was dispatched since it began; a reason given there arrives too",
		"a welcome that comes late, and a hole behind it", lawFirstEvents},
}

// disconnecter is a spoke that can be ended with a reason, behind what was
// dispatched to it.
type disconnecter interface {
	Disconnect(reason eventtarget.Reason)
}

var notYou = eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "not you"}

func lawNoPhantom(t *T) {
	t.onlyHub()
	t.wire()
	label := t.name()
	var welcome atomic.Value // what OnConnect does
	welcome.Store(func(eventtarget.Peer) {})
	var joined, left atomic.Int32
	pprof.Do(t.ctx, pprof.Labels("rig", label), func(context.Context) {
		r := t.rigWith(Setup{
			Endpoints: 2,
			OnConnect: func(p eventtarget.Peer) {
				joined.Add(1)
				welcome.Load().(func(eventtarget.Peer))(p)
			},
			OnDisconnect: func(eventtarget.Peer, eventtarget.Reason) { left.Add(1) },
		})
		t.need(r.Foreign != nil && r.Spokes != nil, "the harness has no hooks Foreign and Spokes")
		r.quiesce()
		before, stay := goroutines(label), joined.Load()
		visits := []struct {
			name string
			hub  func(p eventtarget.Peer)
			peer func(p *plain)
		}{
			{"OnConnect panics", func(eventtarget.Peer) { panic("no room") }, nil},
			{"OnConnect refuses it", func(p eventtarget.Peer) {
				if d, can := p.(disconnecter); can {
					d.Disconnect(notYou)
				} else {
					panic("not you")
				}
			}, nil},
			{"it hangs up at once", nil, (*plain).close},
			{"it sends nonsense", nil, func(p *plain) { _ = p.conn.Send([]byte("nonsense")) }},
		}
		for _, visit := range visits {
			t.setWay(visit.name + ": ")
			if welcome.Store(func(eventtarget.Peer) {}); visit.hub != nil {
				welcome.Store(visit.hub)
			}
			for range 5 {
				p := r.join(visit.hub != nil)
				if p == nil {
					continue
				}
				if visit.peer != nil {
					visit.peer(p)
				}
				_, _ = p.end() // whatever it was told
				p.close()
			}
			t.eventually("a set without the spokes that came to nothing", func() bool { return len(r.Spokes()) == 1 })
			t.eventually("an OnDisconnect for each OnConnect", func() bool { return joined.Load()-left.Load() == stay })
			t.eventually("as many goroutines as before", func() bool { return goroutines(label) <= before })
		}
		r.quiesce()
	})
}

func lawDisconnectOnce(t *T) {
	t.onlyHub()
	const spokes = 6
	var n notices
	r := t.rigWith(Setup{
		Endpoints: spokes + 1,
		OnConnect: func(p eventtarget.Peer) { n.add(p.ID(), "join") },
		OnDisconnect: func(p eventtarget.Peer, reason eventtarget.Reason) {
			n.add(p.ID(), "leave: "+reason.Code.String())
		},
	})
	t.need(r.Spoke != nil, "the harness has no hook Spoke")
	var kept []eventtarget.Peer
	for j := 1; j <= spokes; j++ {
		kept = append(kept, r.Spoke(j))
	}
	var ends sync.WaitGroup
	if d, can := kept[0].(disconnecter); can {
		for range 4 {
			ends.Go(func() { d.Disconnect(notYou) })
		}
		ends.Wait()
		t.eventually("an OnDisconnect with the reason that was given", func() bool {
			return n.count("leave: "+notYou.Code.String()) == 1
		})
		if err := kept[0].Dispatch(t.ctx, event{Type: t.name()}); !errors.Is(err, eventtarget.ErrGone) {
			t.Errorf("Dispatch to a spoke that left: %v", err)
		}
	}
	for j := 2; j <= spokes; j++ { // everything at once
		ends.Go(func() { _ = r.Endpoints[j].Close() })
		if c, can := kept[j-1].(interface{ Close() error }); can {
			ends.Go(func() { _ = c.Close() })
		}
		if r.Kill != nil {
			ends.Go(func() { r.Kill(j) })
		}
	}
	ends.Go(func() { _ = r.Endpoints[0].Shutdown(t.ctx) })
	ends.Wait()
	_ = r.Endpoints[0].Close()
	t.await("the end of the hub", r.Endpoints[0].Done())
	if t.Harness.Caps.Backplane { // spokes of other hubs do not end with this one
		t.eventually("an OnDisconnect for each spoke", n.allLeft)
	}
	n.mu.Lock()
	seen := n.seen
	n.seen = nil // whatever is told from now on is told of nobody
	n.mu.Unlock()
	for _, p := range kept {
		if len(seen[p.ID()]) == 0 {
			t.Errorf("nothing was told of a spoke")
		}
		if err := p.Dispatch(t.ctx, event{Type: t.name()}); !errors.Is(err, eventtarget.ErrGone) && !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Dispatch to a spoke of a hub that is closed: %v", err)
		}
		if _, err := p.Add(t.ctx, eventtarget.T(t.name(), ""), eventtarget.Func(func(context.Context, event) {})); !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Add on a spoke that left: %v", err)
		}
	}
	for _, told := range seen { // also of who came again
		if len(told) != 2 || told[0] != "join" {
			t.Errorf("of a spoke was told: %q", told)
		}
	}
}

func lawFirstEvents(t *T) {
	t.onlyHub()
	t.wire()
	const prelude, following = 3, 20
	a := t.name()
	var flow atomic.Pointer[traffic] // nil while the rig is being made
	var begun atomic.Int32           // dispatches that may have begun before OnConnect did
	r := t.rigWith(Setup{Endpoints: 2, OnConnect: func(p eventtarget.Peer) {
		f := flow.Load()
		if f == nil {
			return
		}
		begun.Store(int32(f.count()) + 1)
		for n := range prelude {
			if err := p.Dispatch(t.ctx, event{Type: a, ID: strconv.Itoa(n)}); err != nil {
				t.Errorf("Dispatch in OnConnect: %v", err)
			}
			<-time.After(time.Millisecond) // while others dispatch: no wait for anything
		}
	}})
	t.need(r.Foreign != nil, "the harness has no hook Foreign")
	flow.Store(t.traffic(r, 0, 1))
	for range 3 {
		flow.Load().more(5)
		before := flow.Load().count()
		p := r.join(false)
		for n := range prelude {
			if e := p.event(); e.Type != a || e.ID != strconv.Itoa(n) {
				t.Fatalf("event %d is %v, want what OnConnect dispatched", n, e.Topic())
			}
		}
		first, _ := strconv.Atoi(p.event().ID)
		if first < before || first > int(begun.Load()) {
			t.Errorf("the first event behind what OnConnect dispatched is %d, want one from %d to %d", first, before, begun.Load())
		}
		for n := range following {
			if e := p.event(); e.ID != strconv.Itoa(first+1+n) {
				t.Fatalf("behind event %d comes %s", first+n, e.ID)
			}
		}
		p.close()
	}
	flow.Load().check()
	t.refusedInOnConnect()
}

// refusedInOnConnect ends spokes in OnConnect, behind a last event.
func (t *T) refusedInOnConnect() {
	a := t.name()
	var refuse atomic.Bool
	r := t.rigWith(Setup{Endpoints: 2, OnConnect: func(p eventtarget.Peer) {
		d, can := p.(disconnecter)
		if !refuse.Load() || !can {
			return
		}
		if err := p.Dispatch(t.ctx, event{Type: a, ID: "last"}); err != nil {
			t.Errorf("Dispatch in OnConnect: %v", err)
		}
		d.Disconnect(notYou)
	}})
	if r.Spoke == nil {
		return
	}
	if _, can := r.Spoke(1).(disconnecter); !can {
		return
	}
	refuse.Store(true)
	p := r.join(false)
	if e := p.event(); e.ID != "last" {
		t.Errorf("a spoke that is refused hears %v", e.Topic())
	}
	if got, told := p.end(); !told || got.Code != notYou.Code || got.Text != notYou.Text {
		t.Errorf("a spoke that is refused is told %s", fmt.Sprint(got))
	}
}
