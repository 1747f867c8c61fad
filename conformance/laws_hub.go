package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var hubLaws = []Law{
	{"C03", "fan-out", Must, "what a hub dispatches reaches each of 1, 2 and 50 spokes once",
		"a spoke that is skipped when the set changes", lawFanOut},
	{"C04", "per-spoke-target", Must, "what is dispatched to a spoke reaches it alone, and a listener on it hears it alone",
		"the core of a hub", lawPerSpoke},
	{"C05", "spoke-isolation", Must, "a spoke never hears another unless the hub relays",
		"one customer who hears another", lawSpokeIsolation},
	{"C06", "join-order", Must, "joining is told before a spoke's first event and leaving after its last; they alternate",
		"state that is set up too late", lawJoinOrder},
	{"C07", "join-visible", Must, "what a hub dispatches once joining was told, inside OnConnect too, reaches that spoke, behind what is for it alone",
		"a gap between history and live", lawJoinVisible},
	{"C08", "leave-cleanup", Must, "a spoke that closes, crashes or falls silent leaves the set, and its registrations end",
		"zombies", lawLeaveCleanup},
	{"C09", "dispatch-to-gone", Must, "dispatching to a spoke that is gone is ErrGone, and to the hub is nil for the rest",
		"a send into nothing", lawDispatchToGone},
}

func lawFanOut(t *T) {
	t.onlyHub()
	for _, n := range []int{1, 2, 50} {
		r := t.rig(n + 1)
		a := t.name()
		var recs []*record
		for j := 1; j <= n; j++ {
			recs = append(recs, r.listenInline(j, eventtarget.T(a, "*")))
		}
		for k := range 20 {
			r.dispatch(0, event{Type: a, ID: strconv.Itoa(k)})
		}
		for j, rec := range recs {
			r.settle(0, j+1)
			if got := rec.all(); len(got) != 20 {
				t.Errorf("spoke %d of %d heard %d of 20 events", j+1, n, len(got))
			}
		}
	}
}

func lawPerSpoke(t *T) {
	t.onlyHub()
	r := t.rig(4)
	t.need(r.Spoke != nil, "the harness has no hook Spoke")
	a := t.name()
	var recs []*record
	for j := range r.Endpoints {
		recs = append(recs, r.listenInline(j, eventtarget.T(a, "*")))
	}
	own := &record{t: t}
	if _, err := r.Spoke(2).Add(t.ctx, eventtarget.T(a, "*"), eventtarget.Listener[raw]{Handle: own.handle, Inline: true}); err != nil {
		t.Fatalf("Add on a spoke: %v", err)
	}
	if err := r.Spoke(2).Dispatch(t.ctx, event{Type: a, ID: "to 2"}); err != nil {
		t.Fatalf("Dispatch to a spoke: %v", err)
	}
	recs[2].wait(1)
	for j := 1; j < len(r.Endpoints); j++ {
		r.dispatch(j, event{Type: a, ID: "from " + strconv.Itoa(j)})
	}
	r.quiesce()
	for j, rec := range recs {
		for _, e := range rec.all() {
			if e.ID == "to 2" && j != 2 {
				t.Errorf("endpoint %d heard what was for 2", j)
			}
		}
	}
	var want []string
	if !r.mute(2) {
		want = []string{"from 2"}
	}
	if t.Harness.Caps.Echo {
		want = []string{"to 2", "from 2"}
	}
	var heard []string
	for _, e := range own.all() {
		heard = append(heard, e.ID)
	}
	if !slices.Equal(heard, want) {
		t.Errorf("a listener on spoke 2 heard %q, want %q", heard, want)
	}
}

func lawSpokeIsolation(t *T) {
	t.onlyHub()
	t.need(!t.Harness.Caps.Relay, "the hub relays")
	r := t.rig(3)
	t.need(!r.mute(1), "the spokes say nothing")
	a := t.name()
	rec := r.listenInline(2, eventtarget.T("*", "*"))
	heard := r.listen(0, eventtarget.T(a, "*"))
	r.dispatch(1, event{Type: a, ID: "private"})
	heard.wait(1)
	r.quiesce()
	for _, e := range rec.all() {
		if e.Type == a {
			t.Errorf("spoke 2 heard spoke 1")
		}
	}
}

// notices records what happens to spokes, in order.
type notices struct {
	mu   sync.Mutex
	seen map[string][]string
}

func (n *notices) add(id, what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = make(map[string][]string)
	}
	n.seen[id] = append(n.seen[id], what)
}

func (n *notices) count(what string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, list := range n.seen {
		for _, w := range list {
			if w == what {
				count++
			}
		}
	}
	return count
}

// allLeft tells whether of each the end was told, too.
func (n *notices) allLeft() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, told := range n.seen {
		if len(told) < 2 {
			return false
		}
	}
	return true
}

func lawJoinOrder(t *T) {
	t.onlyHub()
	var n notices
	const spokes = 5
	r := t.rigWith(Setup{
		Endpoints:    spokes + 1,
		Session:      brief,
		OnConnect:    func(p eventtarget.Peer) { n.add(p.ID(), "join") },
		OnDisconnect: func(p eventtarget.Peer, _ eventtarget.Reason) { n.add(p.ID(), "leave") },
	})
	t.need(!r.mute(1), "the spokes say nothing")
	a := t.name()
	rec := r.listenInline(0, eventtarget.T(a, "*"))
	for j := 1; j <= spokes; j++ {
		r.dispatch(j, event{Type: a})
	}
	for _, e := range rec.wait(spokes) {
		if e.Source == nil {
			t.Fatalf("an event of a spoke has no source")
		}
		n.mu.Lock()
		joined := len(n.seen[e.Source.ID()]) > 0
		n.mu.Unlock()
		if !joined {
			t.Errorf("an event of a spoke was heard before it joined")
		}
	}
	r.add(0, eventtarget.T(a+".late", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e event) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if slices.Contains(n.seen[e.Source.ID()], "leave") {
			t.Errorf("an event of a spoke was heard after it was told to have left")
		}
	}})
	var busy sync.WaitGroup
	for j := 1; j <= spokes; j++ {
		dispatched := make(chan struct{}, 1)
		busy.Go(func() {
			for t.ctx.Err() == nil && r.Endpoints[j].Dispatch(t.ctx, event{Type: a + ".late"}) == nil {
				select {
				case dispatched <- struct{}{}:
				default:
				}
			}
		})
		<-dispatched
		if r.Kill != nil && j%2 == 0 {
			r.Kill(j)
			t.eventually("a spoke whose connection broke to leave", func() bool { return n.count("leave") == j })
		}
		_ = r.Endpoints[j].Close()
	}
	busy.Wait()
	t.eventually("all spokes to leave", func() bool { return n.count("leave") >= spokes })
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.seen) != spokes {
		t.failures = append(t.failures, "notices of "+strconv.Itoa(len(n.seen))+" spokes")
	}
	for id, list := range n.seen {
		if len(list) != 2 || list[0] != "join" || list[1] != "leave" {
			t.failures = append(t.failures, "spoke "+id+" saw "+list[0]+" first and "+strconv.Itoa(len(list))+" notices")
		}
	}
}

func lawJoinVisible(t *T) {
	t.onlyHub()
	var mu sync.Mutex
	var joined []eventtarget.Peer
	r := t.rigWith(Setup{Endpoints: 4, OnConnect: func(p eventtarget.Peer) {
		mu.Lock()
		defer mu.Unlock()
		joined = append(joined, p)
	}})
	a := t.name()
	var recs []*record
	for j := 1; j < len(r.Endpoints); j++ {
		recs = append(recs, r.listen(j, eventtarget.T(a, "*")))
	}
	t.eventually("every spoke to have joined", func() bool { // a plain one may be ready before the hub is
		mu.Lock()
		defer mu.Unlock()
		return len(joined) >= len(recs)
	})
	mu.Lock()
	defer mu.Unlock()
	if len(joined) != len(recs) {
		t.Fatalf("%d spokes joined, want %d", len(joined), len(recs))
	}
	for _, p := range joined {
		if err := p.Dispatch(t.ctx, event{Type: a, ID: "single"}); err != nil {
			t.Errorf("Dispatch to a spoke that joined: %v", err)
		}
	}
	r.dispatch(0, event{Type: a, ID: "all"})
	for _, rec := range recs {
		if got := rec.wait(2); got[0].ID != "single" || got[1].ID != "all" {
			t.Errorf("a spoke heard %q, then %q", got[0].ID, got[1].ID)
		}
	}
	if t.Harness.Caps.Wire && r.Foreign != nil {
		joinForeign(t)
	}
}

// joinForeign lets a plain peer join a hub whose OnConnect dispatches.
func joinForeign(t *T) {
	var made atomic.Pointer[rig] // nil while the rig is being made
	a := t.name()
	r := t.rigWith(Setup{Endpoints: 2, OnConnect: func(p eventtarget.Peer) {
		r := made.Load()
		if r == nil {
			return
		}
		if err := p.Dispatch(t.ctx, event{Type: a, ID: "single"}); err != nil {
			t.Errorf("Dispatch in OnConnect to the spoke: %v", err)
		}
		if err := r.Endpoints[0].Dispatch(t.ctx, event{Type: a, ID: "all"}); err != nil {
			t.Errorf("Dispatch in OnConnect to all: %v", err)
		}
	}})
	made.Store(r)
	c, err := r.Foreign()
	if err != nil {
		t.Fatalf("the harness cannot connect a foreign peer: %v", err)
	}
	t.cleanups = append(t.cleanups, func() { _ = c.Close(eventtarget.Reason{}) })
	for _, want := range []string{"single", "all"} {
		got, err := c.Receive()
		if want := fmt.Sprintf(`{"type":%q,"id":%q}`, a, want); err != nil || string(got) != want {
			t.Fatalf("a peer that joined received %s, %v; want %s", got, err, want)
		}
	}
}

func lawLeaveCleanup(t *T) {
	t.onlyHub()
	r := t.briefRig(4)
	t.need(r.Spoke != nil && r.Spokes != nil, "the harness has no hooks Spoke and Spokes")
	closing, killed := r.Spoke(1), r.Spoke(2)
	var regs []*eventtarget.Registration
	for _, p := range []eventtarget.Peer{closing, killed} {
		rec := &record{t: t}
		reg, err := p.Add(t.ctx, eventtarget.T(t.name(), ""), eventtarget.Func(rec.handle))
		if err != nil {
			t.Fatalf("Add on a spoke: %v", err)
		}
		regs = append(regs, reg)
	}
	_ = r.Endpoints[1].Close()
	t.await("the end of a registration on a spoke that closed", regs[0].Done())
	want := 2
	if r.Kill != nil {
		r.Kill(2)
		t.await("the end of a registration on a spoke that crashed", regs[1].Done())
		want = 1
	}
	t.eventually("a set without the spokes that left", func() bool { return len(r.Spokes()) == want })
	r.settle(0, 3)
	if r.Stall == nil {
		return
	}
	// Half open: the connection stands, and nobody is at the other end.
	r = t.rigWith(Setup{Endpoints: 2, Session: brief, Heartbeat: 500 * time.Millisecond})
	silent := r.Spoke(1)
	rec := &record{t: t}
	reg, err := silent.Add(t.ctx, eventtarget.T(t.name(), ""), eventtarget.Func(rec.handle))
	if err != nil {
		t.Fatalf("Add on a spoke: %v", err)
	}
	r.Stall(1)
	t.await("the end of a registration on a spoke that fell silent", reg.Done())
	t.eventually("a set without the spoke that fell silent", func() bool {
		return !slices.ContainsFunc(r.Spokes(), func(p eventtarget.Peer) bool { return p == silent })
	})
}

func lawDispatchToGone(t *T) {
	t.onlyHub()
	r := t.rig(3)
	t.need(r.Spoke != nil && r.Spokes != nil, "the harness has no hooks Spoke and Spokes")
	gone := r.Spoke(1)
	_ = r.Endpoints[1].Close()
	t.eventually("a set without the spoke that left", func() bool { return len(r.Spokes()) == 1 })
	if err := gone.Dispatch(t.ctx, event{Type: t.name()}); !errors.Is(err, eventtarget.ErrGone) {
		t.Errorf("Dispatch to a spoke that is gone: %v", err)
	}
	rec := r.listen(2, eventtarget.T(t.name(), ""))
	r.dispatch(0, event{Type: rec.reg.Topic().Type})
	rec.wait(1)
}
