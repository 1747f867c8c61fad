package hub_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// TestRandom: whatever is done to one hub, to three on a bus, to three in a ring of bridges that are
// cut, to one with a store, in memory and in files, that dies, and to three that share a log, of which
// some die: everyone hears all that is for them, once, in
// the order of each dispatcher, and nothing else.
func TestRandom(t *testing.T) {
	random(t, []string{"one hub", "three hubs", "a ring", "a store", "files", "a log"}, func(t *testing.T, kind string, seed uint64) {
		w := newWalk(t, kind, seed)
		for i := range w.hubs {
			w.listen(^i)
		}
		if w.store != nil {
			w.must(w.hubs[0].Redeliver(t.Context()))
		}
		for range 3 {
			w.connect()
			w.settle()
		}
		for range 150 {
			w.step()
		}
		w.settle()
		w.check()
		for _, s := range w.spokes {
			s.Close()
			<-s.Done()
		}
	})
}

// openFiles opens a store in a folder that is small enough to have several files.
func openFiles(t *testing.T, dir string) hub.Store {
	t.Helper()
	s, err := filestore.Open(dir, &filestore.Options{Bytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newWalk(t *testing.T, kind string, seed uint64) *walk {
	w := &walk{diary: diary{t: t}, rng: rand.New(rand.NewPCG(seed, 0)), sent: make(map[string][]sending)}
	o := hub.Options{Relay: true, OnFault: w.lost}
	w.asks = w.one(3)
	o.OnlySubscribed = w.asks
	if kind == "one hub" || kind == "three hubs" {
		if w.keeps = w.one(3); w.keeps { // a gap is told of it after a restart
			o.Retain = func(eventtarget.Topic) bool { return true }
		}
		if w.one(2) {
			o.OnConnect = w.comes
		}
	}
	switch kind {
	case "one hub":
		w.hubs = []*hub.Hub{newHub(t, o)}
	case "three hubs":
		for bus := new(inprocess.Bus); len(w.hubs) < 3; {
			member := &lateBus{Target: bus.Join(nil)}
			w.late = append(w.late, &member.delay)
			w.hubs = append(w.hubs, newHub(t, o))
			_, err := w.hubs[len(w.hubs)-1].Join(t.Context(), member, nil)
			w.must(err)
		}
	case "a ring":
		o.Bridged = true
		w.hubs = newHubs(t, 3, o)
		for i := range w.hubs {
			w.bridge(i)
		}
	case "a store", "files":
		w.start = func() *hub.Hub { return storedHub(t, w.store, o) }
		if kind == "files" {
			dir := t.TempDir()
			w.store = openFiles(t, dir)
			w.crash = func() {
				before := dir
				dir = t.TempDir()
				w.must(os.CopyFS(dir, os.DirFS(before)))
				w.store = openFiles(t, dir)
			}
		} else {
			m := new(memory)
			w.store, w.crash = m, func() { m = m.crash(); w.store = m }
		}
		w.hubs = []*hub.Hub{w.start()}
	case "a log":
		w.moves = true
		log := hublog.New()
		w.start = func() *hub.Hub {
			s := &lateLog{sharedStore: log.Open()}
			w.late = append(w.late, &s.delay)
			return storedHub(t, s, o)
		}
		w.hubs = []*hub.Hub{w.start(), w.start(), w.start()}
	}
	return w
}

// comes is an OnConnect that tells the others, and the spoke.
func (w *walk) comes(s *hub.Spoke) {
	n, h := len(w.spokes), w.coming.at
	who := "comer" + strconv.Itoa(n)
	others := func(ctx context.Context, e eventtarget.Event[raw]) error { return h.DispatchExcept(ctx, e, s) }
	w.dispatch(who, w.present(), others)
	w.dispatch(who, append(w.present(), n), h.Dispatch)
	w.dispatch(who, w.present(), others)
	if w.one(2) {
		s.Join("g")
		w.coming.groups["g"] = true
		w.dispatch(who, append(w.members(func(s *walker) bool { return s.groups["g"] }), n), h.Group("g").Dispatch)
		w.dispatch(who, append(w.present(), n), h.Dispatch)
	}
	w.dispatch(who+"'s own", []int{n}, s.Dispatch)
}

func (w *walk) step() {
	switch r := w.rng.IntN(100); {
	case r < 45:
		w.fromHub()
	case r < 65:
		n := w.anyone()
		to := w.present(n)
		for i := range w.hubs {
			to = append(to, ^i)
		}
		w.dispatch("spoke"+strconv.Itoa(n), to, w.spokes[n].Dispatch)
	case r < 75:
		s := w.spokes[w.anyone()]
		if w.bridges != nil && w.one(3) {
			s = w.bridges[w.rng.IntN(len(w.bridges))]
		}
		w.note("cut %d", s.n)
		s.mu.Lock()
		s.near.Cut()
		s.mu.Unlock()
	case r < 82:
		place := w.anyone()
		if w.one(4) {
			place = ^w.rng.IntN(len(w.hubs))
		}
		w.listen(place)
	case r < 88:
		e := w.ears[w.rng.IntN(len(w.ears))]
		if e.until == nil {
			w.target(e.place).Remove(e.reg)
			e.until = w.position()
			w.note("%d listens no more to %v", e.place, e.topic)
		}
	case r < 91:
		w.regroup()
	case r < 93 && len(w.present()) < 6:
		w.settle()
		w.connect()
		w.settle()
	case r < 95 && len(w.present()) > 2:
		w.leave(w.spokes[w.anyone()])
	case r < 96 && w.start != nil:
		w.die(w.rng.IntN(len(w.hubs)))
	case r < 98 && w.late != nil:
		i, d := w.rng.IntN(len(w.hubs)), time.Duration(w.rng.IntN(900))*time.Millisecond
		w.note("hub %d waits for %v", i, d)
		w.late[i].set(d)
	default: // somebody waits to be connected, but not for long
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.rng.IntN(300))*time.Millisecond)
		defer cancel()
		_ = w.spokes[w.anyone()].Ready(ctx)
	}
}

func (w *walk) fromHub() {
	i := w.rng.IntN(len(w.hubs))
	h, who, n := w.hubs[i], "hub"+strconv.Itoa(i), w.anyone()
	what := w.rng.IntN(6)
	if w.moves && w.late[i].remaining() > 0 {
		return // it would be waited for
	}
	switch {
	case w.bridges != nil: // what is for some alone no bridge carries
		to := w.present()
		for j := range w.hubs {
			if j != i {
				to = append(to, ^j)
			}
		}
		w.dispatch(who, to, h.Dispatch)
		return
	case w.store != nil && what != 5: // what is for some alone does not outlive a hub
		what = 0
	case w.moves && (what == 2 || what == 3): // nor does it, and a group, that a spoke moves
		what = 0
	}
	switch what {
	default:
		w.dispatch(who, w.present(), h.Dispatch)
	case 2:
		if w.at(n) == h {
			w.dispatch(who, []int{n}, w.spoke(n).Dispatch)
		}
	case 3:
		group := []string{"g", "h"}[w.rng.IntN(2)]
		w.dispatch(who, w.members(func(s *walker) bool { return s.groups[group] }), h.Group(group).Dispatch)
	case 4:
		identity := "who" + strconv.Itoa(w.rng.IntN(2))
		w.dispatch(who, w.members(func(s *walker) bool { return s.identity == identity }), h.Identity(identity).Dispatch)
	case 5:
		if w.start != nil { // else it may not be where it is said to be
			w.settle()
		}
		if w.at(n) == h {
			s := w.spoke(n)
			w.dispatch(who, w.present(n), func(ctx context.Context, e eventtarget.Event[raw]) error { return h.DispatchExcept(ctx, e, s) })
		}
	}
}

// regroup changes who is in a group, which others learn of behind it.
func (w *walk) regroup() {
	if w.start != nil {
		return
	}
	w.settle()
	n, group := w.anyone(), []string{"g", "h"}[w.rng.IntN(2)]
	s := w.spokes[n]
	if s.groups[group] = !s.groups[group]; s.groups[group] {
		w.spoke(n).Join(group)
	} else {
		w.spoke(n).Leave(group)
	}
	w.note("group %s of %d: %v", group, n, s.groups[group])
	w.settle()
}

// leave ends a spoke in order: from its own end, or from its hub's.
func (w *walk) leave(s *walker) {
	all := ""
	byHub := w.one(2)
	if byHub {
		w.settle()
		for range 5 {
			w.fromHub()
		}
		if !w.moves { // else the log brings it only now
			all = "hub" + strconv.Itoa(slices.Index(w.hubs, w.at(s.n)))
		}
	}
	for _, e := range w.ears {
		if e.place == s.n && e.until == nil {
			e.until, e.all = w.position(), all
		}
	}
	s.gone = true
	if !byHub {
		w.note("%d shuts down", s.n)
		w.must(s.Shutdown(w.t.Context()))
		w.settle()
		return
	}
	w.note("%d is disconnected", s.n)
	s.mu.Lock()
	s.out = true
	s.mu.Unlock()
	w.spoke(s.n).Disconnect(eventtarget.Reason{Code: eventtarget.CodeNormal})
	for range 5 {
		w.fromHub()
	}
	w.settle()
}

// die ends a hub as the end of its process does, and begins another one in its place.
func (w *walk) die(i int) {
	w.note("hub %d dies", i)
	old := w.hubs[i]
	var here []*walker
	for _, s := range w.spokes {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.at == old {
			here = append(here, s)
			s.near.Cut() // before it is known what the store has: nothing comes out that it has not
		}
	}
	if w.store != nil {
		w.crash()
	}
	old.Close()
	w.hubs[i] = w.start()
	if w.late != nil {
		w.late[i], w.late = w.late[len(w.hubs)], w.late[:len(w.hubs)]
	}
	for _, e := range w.ears {
		switch {
		case e.place != ^i || e.until != nil:
		case w.store == nil:
			e.until = w.position()
		default: // it hears what its predecessor may have heard
			var err error
			e.reg, err = w.hubs[i].Add(w.t.Context(), e.topic, eventtarget.Func(e.handle))
			w.must(err)
			e.again = true
		}
	}
	if w.store != nil {
		w.must(w.hubs[i].Redeliver(w.t.Context()))
	}
	for _, s := range here {
		s.at = w.hubs[i]
	}
}
