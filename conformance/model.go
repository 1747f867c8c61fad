package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// step is one operation of a random run: add a listener on a selector, remove the
// n-th, or dispatch on a topic.
type step struct {
	op    string // "add", "remove", "dispatch"
	topic eventtarget.Topic
	n     int
}

func (s step) String() string {
	if s.op == "remove" {
		return fmt.Sprintf("remove %d", s.n)
	}
	return fmt.Sprintf("%s %v", s.op, s.topic)
}

// randomSteps returns a run on a few topics, with wildcards among the selectors.
func randomSteps(rnd *rand.Rand, eventType string, length int) []step {
	topic := func() eventtarget.Topic {
		return eventtarget.T(eventType+[]string{"a", "b"}[rnd.IntN(2)], []string{"", "1", "2"}[rnd.IntN(3)])
	}
	var steps []step
	for range length {
		s := step{op: "dispatch", topic: topic()}
		switch k := rnd.IntN(10); {
		case k < 2:
			s.op = "add"
			if rnd.IntN(3) == 0 {
				s.topic.ID = eventtarget.Wildcard
			}
		case k < 4:
			s = step{op: "remove", n: rnd.IntN(length)}
		}
		steps = append(steps, s)
	}
	return steps
}

// model says what each listener of a run must have heard: the whole of what an
// event target does, in a few lines.
func model(steps []step) [][]int {
	type listener struct {
		selector eventtarget.Topic
		removed  bool
	}
	var listeners []listener
	var heard [][]int
	for n, s := range steps {
		switch s.op {
		case "add":
			listeners = append(listeners, listener{selector: s.topic})
			heard = append(heard, nil)
		case "remove":
			if len(listeners) > 0 {
				listeners[s.n%len(listeners)].removed = true
			}
		case "dispatch":
			for k, l := range listeners {
				if !l.removed && l.selector.Matches(s.topic) {
					heard[k] = append(heard[k], n)
				}
			}
		}
	}
	return heard
}

// perform does the steps on a rig and returns what each listener heard.
func (r *rig) perform(steps []step, from, to int) [][]int {
	var recs []*record
	for n, s := range steps {
		switch s.op {
		case "add":
			recs = append(recs, r.listenInline(to, s.topic))
		case "remove":
			if len(recs) > 0 {
				r.Endpoints[to].Remove(recs[s.n%len(recs)].reg)
			}
		case "dispatch":
			r.dispatch(from, event{Type: s.topic.Type, ID: s.topic.ID, Payload: raw(fmt.Sprint(n))})
			r.settle(from, to)
		}
	}
	heard := make([][]int, len(recs))
	for k, rec := range recs {
		for _, e := range rec.all() {
			var n int
			_, _ = fmt.Sscan(string(e.Payload), &n)
			heard[k] = append(heard[k], n)
		}
		r.Endpoints[to].Remove(rec.reg)
	}
	return heard
}

// lawConcurrentUse holds the target against the model, shrinks a run that differs,
// and then lets everything happen at once, for the race detector.
func lawConcurrentUse(t *T) {
	r := t.rig(2)
	i, j := r.cell()
	seed := rand.Uint64()
	for n := range uint64(15) {
		rnd := rand.New(rand.NewPCG(seed, n))
		eventType := t.name()
		steps := randomSteps(rnd, eventType, 40)
		differs := func(steps []step) bool {
			return fmt.Sprint(r.perform(steps, i, j)) != fmt.Sprint(model(steps))
		}
		if differs(steps) {
			steps = shrink(steps, differs)
			var all []string
			for _, s := range steps {
				all = append(all, s.String())
			}
			t.Fatalf("seed %d/%d: after [%s] the listeners heard %v, the model %v",
				seed, n, strings.Join(all, "; "), r.perform(steps, i, j), model(steps))
		}
	}
	topic := eventtarget.T(t.name(), "")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 100 {
				reg, err := r.Endpoints[j].Add(t.ctx, topic, eventtarget.Listener[raw]{
					Handle: func(context.Context, event) {}, Inline: n%2 == 0,
				})
				if err != nil {
					t.Errorf("Add: %v", err)
					return
				}
				if !r.Endpoints[j].Remove(reg) {
					t.Errorf("Remove of a live registration is false")
				}
				<-reg.Done()
			}
		})
		wg.Go(func() {
			for range 100 {
				if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type}); err != nil {
					t.Errorf("Dispatch: %v", err)
				}
			}
		})
	}
	wg.Wait()
	r.settle(i, j)
}

// shrink drops steps as long as the run still differs from the model.
func shrink(steps []step, differs func([]step) bool) []step {
	for again := true; again; {
		again = false
		for n := range steps {
			if fewer := slices.Delete(slices.Clone(steps), n, n+1); differs(fewer) {
				steps, again = fewer, true
				break
			}
		}
	}
	return steps
}
