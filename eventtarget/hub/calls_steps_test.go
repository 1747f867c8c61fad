package hub_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// TestRandomCalls: whatever is called, served, cancelled, cut and ended over one hub, over three on
// a bus, three in a ring of bridges and one that dies, with a store or without: each call returns once, with the answer to its
// own request or for a reason that there is, what is cancelled ends, nobody else hears what is for
// one, and nothing is left.
func TestRandomCalls(t *testing.T) {
	random(t, []string{"one hub", "three hubs", "a ring", "a hub that dies", "a store"}, func(t *testing.T, kind string, seed uint64) {
		w := newCallWalk(t, kind, seed)
		for range 3 {
			w.connect()
		}
		for range 120 {
			w.step()
		}
		w.finish()
		w.Tell()
	})
}

// drop has nobody use a place any more.
func (w *callWalk) drop(p *nemesis.Place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.places = slices.DeleteFunc(w.places, func(o *nemesis.Place) bool { return o == p })
}

func (w *callWalk) upto(most int) time.Duration {
	return time.Duration(1+w.rng.IntN(most)) * time.Millisecond
}

// somewhere is a place that has not ended.
func (w *callWalk) somewhere() *nemesis.Place {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.places[w.rng.IntN(len(w.places))]
}

func (w *callWalk) step() {
	live := w.Live()
	s := w.spokes[w.rng.IntN(len(w.spokes))]
	switch r := w.rng.IntN(100); {
	case r < 40:
		w.call(w.somewhere())
	case r < 48 && len(w.cancels) > 0:
		w.cancels[w.rng.IntN(len(w.cancels))]()
	case r < 57 && len(live) < 7:
		if p := w.somewhere(); p.Gone == nil || !p.Gone() {
			w.Serve(p, w.rng.IntN(2), eventtarget.ServeOptions{Concurrent: w.rng.IntN(4)})
		}
	case r < 60 && len(live) > 0:
		w.Close(live[w.rng.IntN(len(live))], false)
	case r < 74:
		w.Note("cut %s for %v", s.place.Name, s.cut(w.rng))
	case r < 76 && w.walk.bridges != nil:
		b := w.walk.bridges[w.rng.IntN(len(w.walk.bridges))]
		b.mu.Lock()
		b.near.Cut()
		b.mu.Unlock()
	case r < 78 && w.walk.late != nil:
		w.walk.late[w.rng.IntN(len(w.walk.late))].set(w.upto(900))
	case r < 87:
		<-time.After(w.upto(500))
	case r < 94:
		w.rest()
	case r < 96:
		w.narrow(s)
	case r < 98 && len(w.spokes) > 2:
		w.leave(s)
	case r < 99 && len(w.spokes) < 5:
		w.connect()
	case w.dies:
		w.die(w.rng.IntN(len(w.walk.hubs)))
	}
}

// call begins a call, with a context that ends or does not.
func (w *callWalk) call(p *nemesis.Place) {
	var cancel context.CancelFunc
	ctx := w.t.Context()
	if w.rng.IntN(2) == 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, w.upto(5000), errors.New("it takes too long"))
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	w.cancels = append(w.cancels, cancel)
	method, do, wait := w.rng.IntN(2), nemesis.Do(w.rng.IntN(int(nemesis.Done))), w.upto(2000)
	if do == nemesis.End && w.rng.IntN(3) > 0 {
		do = nemesis.Answer
	}
	w.running.Go(func() { w.Call(ctx, p, method, do, wait) })
}

// rest waits until everyone is connected, and nothing is under way.
func (w *callWalk) rest() {
	synctest.Wait() // who is cut off knows
	for _, s := range w.ending {
		<-s.Done()
	}
	w.ending = nil
	w.walk.settle()
	for _, s := range w.spokes {
		w.must(s.Ready(w.t.Context()))
	}
	most := 200 * time.Millisecond // a call may take 100 ms to say that it ends
	if slices.ContainsFunc(w.spokes, func(s *callSpoke) bool { return s.place.Narrow }) {
		most = 2 * time.Second // what finds no room waits for acknowledgements, one behind the other
	}
	<-time.After(most)
	synctest.Wait()
	w.Rest()
}

// finish ends everything, and looks at what is left.
func (w *callWalk) finish() {
	w.rest()
	for _, cancel := range w.cancels {
		cancel()
	}
	w.rest()
	for _, s := range w.Live() {
		w.Close(s, true)
	}
	for _, s := range w.spokes {
		for _, r := range s.regs {
			s.Remove(r)
		}
	}
	<-time.After(time.Minute)
	w.rest()
	if n := w.Pending(); n > 0 {
		w.t.Errorf("%d calls have not returned", n)
	}
	for _, s := range w.spokes {
		o := s.spokeOf()
		if topics := o.Subscriptions(); s.asks && len(topics) > 0 {
			w.t.Errorf("%s asks for %v", s.place.Name, topics)
		}
		if n := o.Stats().Waiting; n > 0 {
			w.t.Errorf("%d events wait for %s", n, s.place.Name)
		}
		s.Link.Close()
		<-s.Done()
	}
	<-time.After(time.Minute)
	w.running.Wait()
	for i, m := range w.members {
		if n := m.count(false, 0); n != 1+len(nemesis.Methods) { // for what hubs say, and the hub's who hears all answers
			w.t.Errorf("hub %d has %d listeners on the bus", i, n)
		}
	}
}
