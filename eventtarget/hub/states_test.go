package hub_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// states are a hub that counts in some topics, and links that follow the counts: each hears first
// how far one is, and then each step.
type states struct {
	diary
	rng *rand.Rand
	hub *hub.Hub
	all []*follower
	as  []*watch

	wg sync.WaitGroup
	mu sync.Mutex // for what Snapshot is to see at once
	at map[eventtarget.Topic]int
}

// follower is a link that follows.
type follower struct {
	*link.Link
	n int

	cord
}

// watch is a listener of one.
type watch struct {
	*follower
	topic eventtarget.Topic
	reg   *eventtarget.Registration
	from  map[eventtarget.Topic]int // how far each was when it had come
	gone  bool

	mu    sync.Mutex
	heard map[eventtarget.Topic][]step
}

// step is what was heard: a number, or that something is missing.
type step struct {
	number     int
	first, gap bool
}

func (s step) String() string {
	return fmt.Sprintf("%d%s%s", s.number, map[bool]string{true: "!"}[s.first], map[bool]string{true: "?"}[s.gap])
}

// counters are the topics.
var counters = []eventtarget.Topic{{Type: "a", ID: "1"}, {Type: "a", ID: "2"}, {Type: "b", ID: "1"}, {Type: "b", ID: "2"}}

// snapshot returns how far the topics are that one stands for.
func (w *states) snapshot(_ *hub.Spoke, of eventtarget.Topic) (all []eventtarget.Event[raw], at hub.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range counters {
		if of.Matches(t) && w.at[t] > 0 {
			all = append(all, event(t.Type, t.ID, fmt.Sprintf(`"%d!"`, w.at[t])))
		}
	}
	return all, w.hub.Position()
}

func (w *states) dispatch(rng *rand.Rand) {
	t := counters[rng.IntN(len(counters))]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[t]++
	if err := w.hub.Dispatch(w.t.Context(), event(t.Type, t.ID, fmt.Sprintf(`"%d"`, w.at[t]))); err != nil {
		w.t.Fatal(err)
	}
	w.note("%v %d", t, w.at[t])
}

func (w *states) connect() {
	f := &follower{n: len(w.all)}
	var err error
	f.Link, err = link.New(link.Options{
		Subscribe: true, Heartbeat: -1, Subscriptions: 3 + w.rng.IntN(6),
		OnFault: func(e eventtarget.Fault) {
			if e.Kind != eventtarget.FaultGap {
				return
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, a := range w.as {
				if a.follower == f {
					a.hear(counters, step{gap: true})
				}
			}
		},
		Dial: func(context.Context) (link.Conn, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if time.Now().Before(f.away) {
				return nil, eventtarget.ErrGone
			}
			near, far := link.Pipe()
			f.near = near
			go w.hub.Attach(negotiated{far}, hub.Meta{})
			return negotiated{near}, nil
		},
	})
	w.must(err)
	w.all = append(w.all, f)
}

func (a *watch) hear(topics []eventtarget.Topic, s step) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range topics {
		a.heard[t] = append(a.heard[t], s)
	}
}

func (w *states) listen(f *follower) {
	topics := append(slices.Clone(counters), eventtarget.Topic{Type: "a", ID: "*"}, eventtarget.Topic{Type: "b", ID: "*"}, eventtarget.Topic{Type: "*", ID: "*"})
	a := &watch{follower: f, topic: topics[w.rng.IntN(len(topics))], from: make(map[eventtarget.Topic]int), heard: make(map[eventtarget.Topic][]step)}
	w.note("%d listens to %v", f.n, a.topic)
	w.mu.Lock()
	w.as = append(w.as, a)
	w.mu.Unlock()
	var err error
	a.reg, err = f.Add(w.t.Context(), a.topic, eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
		var s step
		_, _ = fmt.Sscanf(string(e.Payload), `"%d`, &s.number)
		s.first = strings.Contains(string(e.Payload), "!")
		a.hear([]eventtarget.Topic{e.Topic()}, s)
	}})
	w.must(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(a.from, w.at)
}

// TestRandomStates: whoever adds and removes listeners, is cut off, and comes back too late,
// follows each topic: it hears how far it is, and then each step; and it is told when it misses one.
func TestRandomStates(t *testing.T) {
	random(t, []string{"snapshot", "retained"}, func(t *testing.T, kind string, seed uint64) {
		w := &states{diary: diary{t: t}, rng: rand.New(rand.NewPCG(seed, 0)), at: make(map[eventtarget.Topic]int)}
		o := hub.Options{SessionTimeout: time.Second, OnFault: ignore, OnlySubscribed: w.rng.IntN(2) == 0}
		if kind == "snapshot" {
			o.Snapshot = w.snapshot
		} else {
			o.Retain = func(eventtarget.Topic) bool { return true }
		}
		w.hub = newHub(t, o)
		for range 3 {
			w.connect()
		}
		for range 150 {
			w.step()
		}
		w.wg.Wait()
		for _, f := range w.all {
			f.mu.Lock()
			f.away = time.Time{}
			f.mu.Unlock()
		}
		synctest.Wait()
		for _, f := range w.all {
			w.must(f.Ready(t.Context()))
		}
		<-time.After(time.Minute)
		synctest.Wait()
		for _, a := range w.as {
			for _, topic := range counters {
				if a.topic.Matches(topic) {
					w.check(kind, a, topic)
				}
			}
		}
		for _, f := range w.all {
			f.Close()
			<-f.Done()
		}
		w.tell()
	})
}

func (w *states) step() {
	f := w.all[w.rng.IntN(len(w.all))]
	switch what := w.rng.IntN(20); {
	case what < 8:
		rng := rand.New(rand.NewPCG(w.rng.Uint64(), 0))
		w.wg.Go(func() {
			for range 1 + rng.IntN(20) {
				w.dispatch(rng)
			}
		})
	case what < 12:
		w.listen(f)
	case what < 15 && len(w.as) > 0:
		a := w.as[w.rng.IntN(len(w.as))]
		if !a.gone {
			w.note("%d listens no more to %v", a.n, a.topic)
			a.Remove(a.reg)
			a.gone = true
		}
	case what < 17:
		w.note("%d is cut off, away for %v", f.n, f.cut(w.rng))
	case what < 19:
		<-time.After(time.Duration(1+w.rng.IntN(700)) * time.Millisecond)
	default:
		synctest.Wait()
	}
}

// check compares what a listener heard of a topic with how far that was.
func (w *states) check(kind string, a *watch, t eventtarget.Topic) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, missed := -1, false
	for i, s := range a.heard[t] {
		fail := func(why string) {
			w.t.Errorf("%d, listening to %v: heard of %v %v (%d, %s); it was at %d, and is at %d", a.n, a.topic, t, a.heard[t], i, why, a.from[t], w.at[t])
		}
		first := s.first || kind == "retained" && s.number >= last && missed
		switch {
		case s.gap:
			missed = true
		case last < 0 && !first && s.number > a.from[t]+1:
			fail("too late")
			return
		case last < 0:
			last = s.number
		case first && s.number >= last:
			last, missed = s.number, false
		case kind == "retained" && s.number == last: // for another listener
		case s.number > last && s.number <= a.from[t]: // under way to one that has gone
			last = s.number
		case s.number != last+1:
			fail("not the next")
			return
		default:
			last = s.number
		}
	}
	if !a.gone && last < w.at[t] && (last >= 0 || w.at[t] > a.from[t]) {
		w.t.Errorf("%d, listening to %v: heard of %v %v; it was at %d, and is at %d", a.n, a.topic, t, a.heard[t], a.from[t], w.at[t])
	}
}
