package conformance

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var dispatchLaws = []Law{
	{"A14", "dispatch-inside", Must, "Dispatch inside a listener completes, also nested a hundred deep",
		"a lock held while listeners run", lawDispatchInside},
	{"A15", "close-inside", Must, "Close inside a listener does not deadlock, and Shutdown with its context is ErrWouldBlock and does nothing",
		"a hub that is shut down from a handler", lawCloseInside},
	{"A16", "once", Must, "a listener with Once is called once under concurrent dispatches, and others as ever",
		"a flag that is checked and set in two steps", everyWay(lawOnce)},
	{"A17", "order-per-dispatcher", Must, "one goroutine's events arrive at an endpoint in order, on one topic and over many",
		"the promise of order", everySource(lawOrder)},
	{"A18", "order-over-hubs", Optional, "the same holds from every endpoint to every other, while all dispatch at once, across a backplane",
		"messages that overtake each other between servers", lawOrderOverHubs},
	{"A19", "total-order", Optional, "all listeners of an endpoint see one sequence",
		"replicas that apply events in different orders", lawTotalOrder},
	{"A20", "listener-order", Must, "for one event Inline listeners are called in the order of Add, exact and wildcard alike",
		"what was added to go first goes second", everyWay(lawListenerOrder)},
	{"A21", "no-overlap", Must, "a queued listener is never called concurrently with itself",
		"handlers with state", everyWay(lawNoOverlap)},
	{"A22", "concurrent-use", Stochastic, "adders, removers and dispatchers at once, and random operations that a model predicts",
		"races", lawConcurrentUse},
}

func lawDispatchInside(t *T) {
	r := t.rig(2)
	at, hears := r.itself()
	t.need(hears, "no endpoint hears itself")
	topic, other := eventtarget.T(t.name(), ""), eventtarget.T(t.name(), "")
	rec := r.listen(at, other)
	for _, inline := range []bool{true, false} {
		var depth atomic.Int32
		done := make(chan struct{})
		reg := r.add(at, topic, eventtarget.Listener[raw]{Inline: inline, Handle: func(ctx context.Context, e event) {
			if err := r.Endpoints[at].Dispatch(ctx, event{Type: other.Type}); err != nil {
				t.Errorf("Dispatch inside a listener: %v", err)
			}
			if depth.Add(1) == 100 {
				close(done)
				return
			}
			if err := r.Endpoints[at].Dispatch(ctx, e); err != nil {
				t.Errorf("nested Dispatch: %v", err)
			}
		}})
		r.dispatch(at, event{Type: topic.Type})
		t.await("a hundred nested dispatches", done)
		r.Endpoints[at].Remove(reg)
		t.await("Done", reg.Done())
	}
	rec.wait(200)
}

func lawCloseInside(t *T) {
	for _, inline := range []bool{true, false} {
		r := t.rig(2)
		i, j := r.cell()
		topic := eventtarget.T(t.name(), "")
		refused, closed := make(chan struct{}), make(chan struct{})
		var calls atomic.Int32
		r.add(j, topic, eventtarget.Listener[raw]{Inline: inline, Handle: func(ctx context.Context, _ event) {
			n := calls.Add(1)
			if n == 1 {
				if err := r.Endpoints[j].Shutdown(ctx); !errors.Is(err, eventtarget.ErrWouldBlock) {
					t.Errorf("inline %v: Shutdown with a listener's context: %v", inline, err)
				}
				close(refused)
				return
			}
			_ = r.Endpoints[j].Close()
			if n == 2 {
				close(closed)
			}
		}})
		r.dispatch(i, event{Type: topic.Type})
		t.await("Shutdown inside a listener", refused)
		// The end may come before Dispatch has brought the event to the listeners on its own
		// end: of the same endpoint, or of a link with echo, which ends with the other one.
		ends := i == j || t.Harness.Caps.Topology == Link && t.Harness.Caps.Echo
		if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type}); err != nil && !(ends && errors.Is(err, eventtarget.ErrClosed)) {
			t.Fatalf("Dispatch: %v", err)
		}
		t.await("Close inside a listener", closed)
		t.await("Done after Close inside a listener", r.Endpoints[j].Done())
	}
}

func lawOnce(t *T, r *rig, i, j int) {
	for _, inline := range []bool{true, false} {
		topic := eventtarget.T(t.name(), "")
		var once [3]atomic.Int32
		var regs []*eventtarget.Registration
		for n := range once {
			regs = append(regs, r.add(j, topic, eventtarget.Listener[raw]{
				Once: true, Inline: inline, Handle: func(context.Context, event) { once[n].Add(1) },
			}))
		}
		on := r.listenInline(j, topic)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type}); err != nil {
					t.Errorf("Dispatch: %v", err)
				}
			})
		}
		wg.Wait()
		r.settle(i, j)
		on.wait(100)
		for n, reg := range regs {
			t.await("Done of a listener with Once", reg.Done())
			if got := once[n].Load(); got != 1 {
				t.Errorf("inline %v: a listener with Once was called %d times", inline, got)
			}
			if r.Endpoints[j].Remove(reg) {
				t.Errorf("inline %v: Remove of a served Once is true", inline)
			}
		}
	}
}

func lawOrder(t *T, r *rig, from int, to []int) {
	const events = 10_000
	a := t.name()
	var one, many []*record
	for _, j := range to {
		one = append(one, r.listen(j, eventtarget.T(a, "one")))
		many = append(many, r.listen(j, eventtarget.T(a, "*")))
	}
	for n := range events {
		id := "one"
		if n%2 == 1 {
			id = strconv.Itoa(n % 7)
		}
		r.dispatch(from, event{Type: a, ID: id, Payload: raw(strconv.Itoa(n))})
	}
	check := func(j int, what string, got []event, step int) {
		for n, e := range got {
			if want := strconv.Itoa(n * step); string(e.Payload) != want {
				t.Fatalf("%s: event %d at endpoint %d is %s, want %s", what, n, j, e.Payload, want)
			}
		}
	}
	for n, j := range to {
		check(j, "one topic", one[n].wait(events/2), 2)
		check(j, "many topics", many[n].wait(events), 1)
	}
}

func lawOrderOverHubs(t *T) {
	t.need(t.Harness.Caps.Backplane, "is not made of several hubs")
	const events = 1000
	r := t.rig(3)
	a := t.name()
	recs := make([]*record, len(r.Endpoints))
	for j := range recs {
		recs[j] = r.listen(j, eventtarget.T(a, "*"))
	}
	var wg sync.WaitGroup
	for i := range r.Endpoints {
		wg.Go(func() {
			for n := range events {
				if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: a, ID: strconv.Itoa(i), Payload: raw(strconv.Itoa(n))}); err != nil {
					t.Errorf("Dispatch: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for j, rec := range recs {
		heard := 0
		for i := range r.Endpoints {
			if r.Reaches(i, j) {
				heard += events
			}
		}
		next := make(map[string]int)
		for _, e := range rec.wait(heard) {
			if want := next[e.ID]; string(e.Payload) != strconv.Itoa(want) {
				t.Fatalf("from endpoint %s to %d: event %d is %s", e.ID, j, want, e.Payload)
			}
			next[e.ID]++
		}
	}
}

func lawTotalOrder(t *T) {
	t.need(t.Harness.Caps.Ordering == "total", "declares no total order")
	const events, dispatchers = 500, 4
	r := t.rig(2)
	i, j := r.cell()
	a := t.name()
	first, second := r.listen(j, eventtarget.T(a, "*")), r.listen(j, eventtarget.T(a, "*"))
	var wg sync.WaitGroup
	for d := range dispatchers {
		wg.Go(func() {
			for n := range events {
				if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: a, ID: strconv.Itoa(d), Payload: raw(strconv.Itoa(n))}); err != nil {
					t.Errorf("Dispatch: %v", err)
				}
			}
		})
	}
	wg.Wait()
	x, y := first.wait(events*dispatchers), second.wait(events*dispatchers)
	for n := range x {
		if x[n].ID != y[n].ID || string(x[n].Payload) != string(y[n].Payload) {
			t.Fatalf("two listeners see event %d differently", n)
		}
	}
}

func lawListenerOrder(t *T, r *rig, i, j int) {
	a := t.name()
	selectors := []eventtarget.Topic{{Type: a, ID: "x"}, {Type: a, ID: "*"}, {Type: "*", ID: "*"}}
	var order []int
	var want []int
	for n := range 12 {
		want = append(want, n)
		r.add(j, selectors[(n*5+n/3)%3], eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e event) {
			if e.Type == a {
				order = append(order, n)
			}
		}})
	}
	r.dispatch(i, event{Type: a, ID: "x"})
	r.settle(i, j)
	if !slices.Equal(order, want) {
		t.Errorf("called in the order %v", order)
	}
}

func lawNoOverlap(t *T, r *rig, i, j int) {
	const dispatchers, events = 8, 200
	topic := eventtarget.T(t.name(), "")
	var inside, calls atomic.Int32
	done := make(chan struct{})
	r.add(j, topic, eventtarget.Func(func(context.Context, event) {
		if inside.Add(1) > 1 {
			t.Errorf("the listener is called while it runs")
		}
		for range 10 {
			runtime.Gosched() // give another call the chance to begin
		}
		inside.Add(-1)
		if calls.Add(1) == dispatchers*events {
			close(done)
		}
	}))
	var wg sync.WaitGroup
	for range dispatchers {
		wg.Go(func() {
			for range events {
				if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type}); err != nil {
					t.Errorf("Dispatch: %v", err)
				}
			}
		})
	}
	wg.Wait()
	t.await("all events", done)
}
