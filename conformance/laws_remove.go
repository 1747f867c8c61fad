package conformance

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var removeLaws = []Law{
	{"A07", "remove-right-one", Must, "of many listeners from one factory exactly the one that was removed stops",
		"comparing function values removes another", everyWay(lawRemoveRightOne)},
	{"A08", "remove-idempotent", Must, "a second Remove is false, and changes nothing",
		"a list corrupted by a double Remove", everyWay(lawRemoveIdempotent)},
	{"A09", "remove-foreign", Must, "Remove of nil, of another target's registration: false, without an effect",
		"a registration of elsewhere ends a listener here", lawRemoveForeign},
	{"A10", "no-call-after-remove", Must, "an event dispatched after Remove returned is never delivered, nor what waited then; after Done none of the listener's code runs",
		"the promise that is broken most: code runs on what was taken down", everyWay(lawNoCallAfterRemove)},
	{"A11", "remove-inside-self", Must, "a listener can remove itself, and is not called again",
		"a known deadlock", everyWay(lawRemoveInsideSelf)},
	{"A12", "remove-other-inside", Must, "a listener that removes another during dispatch: that one is not called, and no third is skipped",
		"a list that is changed while it is walked", everyWay(lawRemoveOtherInside)},
	{"A13", "add-inside", Must, "a listener added during dispatch is not called for that event, and is for the next",
		"endless growth", everyWay(lawAddInside)},
}

func lawRemoveRightOne(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	const k = 7
	var calls [k]atomic.Int32
	var regs []*eventtarget.Registration
	factory := func(n int) eventtarget.Listener[raw] {
		return eventtarget.Listener[raw]{Handle: func(context.Context, event) { calls[n].Add(1) }, Inline: true}
	}
	for n := range k {
		regs = append(regs, r.add(j, topic, factory(n)))
	}
	if !r.Endpoints[j].Remove(regs[3]) {
		t.Errorf("Remove of a live registration is false")
	}
	r.dispatch(i, event{Type: topic.Type})
	r.settle(i, j)
	for n := range k {
		want := int32(1)
		if n == 3 {
			want = 0
		}
		if got := calls[n].Load(); got != want {
			t.Errorf("after removing listener 3, listener %d was called %d times", n, got)
		}
	}
}

func lawRemoveIdempotent(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	a, b := r.listenInline(j, topic), r.listenInline(j, topic)
	if !r.Endpoints[j].Remove(a.reg) || r.Endpoints[j].Remove(a.reg) || r.Endpoints[j].Remove(a.reg) {
		t.Errorf("Remove is not true once and then false")
	}
	t.await("Done of the removed registration", a.reg.Done())
	r.dispatch(i, event{Type: topic.Type})
	r.settle(i, j)
	if a.len() != 0 || b.len() != 1 {
		t.Errorf("after removing one twice, it heard %d and the other %d", a.len(), b.len())
	}
}

func lawRemoveForeign(t *T) {
	r, other := t.rig(2), t.rig(2)
	i, j := r.cell()
	topic, elsewhere := eventtarget.T(t.name(), ""), eventtarget.T(t.name(), "")
	rec := r.listenInline(j, topic)
	foreign := other.listenInline(j, elsewhere)
	if r.Endpoints[j].Remove(nil) || r.Endpoints[j].Remove(foreign.reg) || r.Endpoints[j].Remove(new(eventtarget.Registration)) {
		t.Errorf("Remove of a registration that is not its own is true")
	}
	r.dispatch(i, event{Type: topic.Type})
	r.settle(i, j)
	other.dispatch(i, event{Type: elsewhere.Type})
	other.settle(i, j)
	if rec.len() != 1 || foreign.len() != 1 {
		t.Errorf("after foreign Removes the listeners heard %d and %d", rec.len(), foreign.len())
	}
}

func lawNoCallAfterRemove(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	// A remove that is over before the dispatch begins.
	for _, inline := range []bool{true, false} {
		rec := r.record(j, topic, eventtarget.Listener[raw]{Inline: inline})
		r.Endpoints[j].Remove(rec.reg)
		r.dispatch(i, event{Type: topic.Type})
		r.settle(i, j)
		t.await("Done", rec.reg.Done())
		if rec.len() != 0 {
			t.Errorf("inline %v: an event dispatched after Remove was delivered", inline)
		}
	}
	// A remove while one event is being handled and others wait.
	waiting := eventtarget.T(t.name(), "")
	var handled atomic.Int32
	entered, gate := make(chan struct{}), make(chan struct{})
	reg := r.add(j, waiting, eventtarget.Func(func(ctx context.Context, _ event) {
		if handled.Add(1) == 1 {
			close(entered)
			<-gate
			if ctx.Err() == nil {
				t.Errorf("Remove did not end the listener's context")
			}
		}
	}))
	for range 10 {
		r.dispatch(i, event{Type: waiting.Type})
	}
	t.await("a call", entered)
	r.settle(i, j)
	if !r.Endpoints[j].Remove(reg) {
		t.Errorf("Remove of a listener at work is false")
	}
	select {
	case <-reg.Done():
		t.Errorf("Done is closed while the listener's code runs")
	default:
	}
	close(gate)
	t.await("Done of a listener that was removed at work", reg.Done())
	if n := handled.Load(); n != 1 {
		t.Errorf("of 10 events, 9 of which waited when Remove returned, %d were handled", n)
	}
	// Removes in the middle of a stream of events.
	for n := range 30 {
		inline := n%2 == 0
		var over atomic.Bool
		var calls, late atomic.Int32
		reg := r.add(j, topic, eventtarget.Listener[raw]{Inline: inline, Handle: func(context.Context, event) {
			calls.Add(1)
			if over.Load() {
				late.Add(1)
			}
		}})
		var stream sync.WaitGroup
		stream.Go(func() {
			for range 50 {
				if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type}); err != nil {
					t.Errorf("Dispatch: %v", err)
				}
			}
		})
		if n%3 == 0 {
			t.eventually("a call", func() bool { return calls.Load() > 0 })
		}
		r.Endpoints[j].Remove(reg)
		t.await("Done", reg.Done())
		over.Store(true)
		stream.Wait()
		r.settle(i, j)
		if late.Load() > 0 {
			t.Fatalf("inline %v: the listener's code ran after Done", inline)
		}
	}
}

func lawRemoveInsideSelf(t *T, r *rig, i, j int) {
	for _, inline := range []bool{true, false} {
		topic := eventtarget.T(t.name(), "")
		var calls atomic.Int32
		var reg *eventtarget.Registration
		ready := make(chan struct{})
		reg = r.add(j, topic, eventtarget.Listener[raw]{Inline: inline, Handle: func(context.Context, event) {
			<-ready
			calls.Add(1)
			if !r.Endpoints[j].Remove(reg) {
				t.Errorf("inline %v: Remove inside the listener itself is false", inline)
			}
		}})
		close(ready)
		for range 5 {
			r.dispatch(i, event{Type: topic.Type})
		}
		t.await("Done of a listener that removed itself", reg.Done())
		r.settle(i, j)
		if calls.Load() != 1 {
			t.Errorf("inline %v: called %d times", inline, calls.Load())
		}
	}
}

func lawRemoveOtherInside(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	var order []int
	var regs [4]*eventtarget.Registration
	for n := range regs {
		regs[n] = r.add(j, topic, eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, event) {
			order = append(order, n)
			switch n {
			case 0: // itself: the next must not be skipped
				r.Endpoints[j].Remove(regs[0])
			case 1:
				r.Endpoints[j].Remove(regs[2])
			}
		}})
	}
	r.dispatch(i, event{Type: topic.Type})
	r.settle(i, j)
	if fmt.Sprint(order) != "[0 1 3]" {
		t.Errorf("listener 0 removes itself and listener 1 removes 2: called were %v", order)
	}
}

func lawAddInside(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	var added *record
	r.add(j, topic, eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, event) {
		if added == nil {
			added = &record{t: t}
			if _, err := r.Endpoints[j].Add(t.ctx, topic, eventtarget.Listener[raw]{Inline: true, Handle: added.handle}); err != nil {
				t.Errorf("Add inside a listener: %v", err)
			}
		}
	}})
	r.dispatch(i, event{Type: topic.Type, Payload: raw(`1`)})
	r.dispatch(i, event{Type: topic.Type, Payload: raw(`2`)})
	r.settle(i, j)
	if got := payloads(added.all()); fmt.Sprint(got) != "[2]" {
		t.Errorf("a listener added during event 1 heard %v", got)
	}
}
