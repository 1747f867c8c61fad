package conformance

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var loadLaws = []Law{
	{"D01", "slow-listener-isolation", Must, "a blocked queued listener stops no other listener and no Dispatch, and a spoke that does not read stops no other spoke",
		"one slow handler that stops a program", everyWay(lawSlowListener)},
	{"D04", "overflow-policy", Must, "a full queue drops as its policy says, and counts exactly that; a full way out refuses, and what it took arrives; a spoke that falls behind loses as its policy says, and is told how much",
		"counters that lie", everyWay(lawOverflow)},
	{"D05", "lossless-block", Must, "with Block everything arrives, in order; a wait inside a listener is ErrWouldBlock instead",
		"a deadlock, or a loss where none was allowed", lawBlock},
	{"D06", "burst", Must, "a burst below the limit to an idle listener is lost nowhere, and stays in order",
		"limits that are met long before they are reached", lawBurst},
	{"D12", "handler-budget", Must, "a queued listener that blocks does not stop what else arrives at its endpoint",
		"listeners that run where a connection is read", everyWay(lawHandlerBudget)},
	{"D13", "no-self-deadlock", Must, "listeners that dispatch to themselves and to each other, add, remove and close: nothing hangs",
		"deadlocks in customers' devices", lawNoSelfDeadlock},
}

func lawSlowListener(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	gate := make(chan struct{})
	r.add(j, topic, eventtarget.Func(func(context.Context, event) { <-gate }))
	defer close(gate)
	rec := r.listen(j, topic)
	for range 1000 {
		r.dispatch(i, event{Type: topic.Type})
	}
	rec.wait(1000)
	if t.Harness.Caps.Topology == Hub && i == 0 && r.Stall != nil {
		spoke := r.listen(1, eventtarget.T(t.name(), ""))
		r.Stall(2)
		for range 1000 {
			r.dispatch(0, event{Type: spoke.reg.Topic().Type})
		}
		spoke.wait(1000)
	}
}

func lawOverflow(t *T, r *rig, i, j int) {
	const queue = 8
	for _, policy := range []eventtarget.Overflow{eventtarget.DropNewest, eventtarget.DropOldest} {
		topic := eventtarget.T(t.name(), "")
		rec := &record{t: t}
		gate, entered := make(chan struct{}), make(chan struct{})
		var called atomic.Bool
		reg := r.add(j, topic, eventtarget.Listener[raw]{Queue: queue, Overflow: policy, Handle: func(ctx context.Context, e event) {
			if called.CompareAndSwap(false, true) {
				close(entered)
				<-gate
			}
			rec.handle(ctx, e)
		}})
		r.dispatch(i, event{Type: topic.Type, Payload: raw("0")})
		t.await("a call", entered)
		for n := 1; n <= 3*queue; n++ {
			r.dispatch(i, event{Type: topic.Type, Payload: raw(strconv.Itoa(n))})
		}
		r.settle(i, j)
		if got := reg.Dropped(); got != 2*queue {
			t.Errorf("%v: %d events dropped, want %d", policy, got, 2*queue)
		}
		close(gate)
		oldest := 1
		if policy == eventtarget.DropOldest {
			oldest += 2 * queue
		}
		for n, p := range payloads(rec.wait(queue + 1)) {
			want := 0
			if n > 0 {
				want = oldest + n - 1
			}
			if p != strconv.Itoa(want) {
				t.Errorf("%v: event %d is %s, want %d", policy, n, p, want)
			}
		}
		t.awaitFault("the overflow", j, func(f eventtarget.Fault) bool {
			return f.Kind == eventtarget.FaultOverflow && f.Topic == topic
		})
		r.dispatch(i, event{Type: topic.Type, Payload: raw(`"after"`)}) // it has recovered
		rec.wait(queue + 2)
		if got := reg.Dropped(); got != 2*queue {
			t.Errorf("%v: %d events dropped after it recovered", policy, got)
		}
	}
	if t.Harness.Caps.Topology == Link && i == 0 && r.Stall != nil && r.Resume != nil {
		overflowOutgoing(t)
	}
	if t.Harness.Caps.Topology == Hub && i == 0 && j != 0 && r.canBeSlow() {
		overflowSpokes(t)
	}
}

// overflowOutgoing fills the way out to an end that does not read.
func overflowOutgoing(t *T) {
	r := t.rigWith(Setup{Endpoints: 2, Outgoing: 8, Overflow: eventtarget.Reject})
	rec := r.listenInline(1, eventtarget.T(t.name(), ""))
	r.Stall(1)
	accepted, err := r.fill(0, rec.reg.Topic())
	if !errors.Is(err, eventtarget.ErrOverflow) {
		t.Errorf("Dispatch into a full way out: %v", err)
	}
	r.Resume(1)
	for n, p := range payloads(rec.wait(accepted)) {
		if p != strconv.Itoa(n) {
			t.Fatalf("after an overflow event %d is %s", n, p)
		}
	}
	r.settle(0, 1)
	if rec.len() != accepted {
		t.Errorf("of %d accepted events %d were heard", accepted, rec.len())
	}
}

func lawBlock(t *T) {
	const events = 2000
	r := t.rig(2)
	i, j := r.cell()
	topic := eventtarget.T(t.name(), "")
	rec := &record{t: t}
	reg := r.add(j, topic, eventtarget.Listener[raw]{Handle: rec.handle, Queue: 4, Overflow: eventtarget.Block})
	for n := range events {
		r.dispatch(i, event{Type: topic.Type, Payload: raw(strconv.Itoa(n))})
	}
	for n, p := range payloads(rec.wait(events)) {
		if p != strconv.Itoa(n) {
			t.Fatalf("event %d is %s", n, p)
		}
	}
	if reg.Dropped() != 0 {
		t.Errorf("%d events dropped", reg.Dropped())
	}
	at, hears := r.itself()
	if !hears {
		return // nothing that it dispatches waits for a listener of its own
	}
	self := eventtarget.T(t.name(), "")
	result := make(chan error, 1)
	r.add(at, self, eventtarget.Listener[raw]{Queue: 1, Overflow: eventtarget.Block, Handle: func(ctx context.Context, e event) {
		if e.Payload != nil {
			return
		}
		var err error
		for range 3 { // the second at the latest finds the queue full
			if err = r.Endpoints[at].Dispatch(ctx, event{Type: self.Type, Payload: raw(`1`)}); err != nil {
				break
			}
		}
		result <- err
	}})
	r.dispatch(at, event{Type: self.Type})
	select {
	case err := <-result:
		if !errors.Is(err, eventtarget.ErrWouldBlock) {
			t.Errorf("a Dispatch that waits for its own listener: %v", err)
		}
	case <-t.ctx.Done():
		t.Fatalf("a Dispatch that waits for its own listener hangs")
	}
}

func lawBurst(t *T) {
	const events = 10_000
	r := t.rig(2)
	i, j := r.cell() // A17 sends as many every other way
	topic := eventtarget.T(t.name(), "")
	rec := r.listen(j, topic)
	for n := range events {
		r.dispatch(i, event{Type: topic.Type, Payload: raw(strconv.Itoa(n))})
	}
	for n, p := range payloads(rec.wait(events)) {
		if p != strconv.Itoa(n) {
			t.Fatalf("event %d is %s", n, p)
		}
	}
	if d := rec.reg.Dropped(); d != 0 {
		t.Errorf("%d events dropped", d)
	}
}

func lawHandlerBudget(t *T, r *rig, i, j int) {
	a := t.name()
	gate, entered := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	r.add(j, eventtarget.T(a, "blocks"), eventtarget.Func(func(context.Context, event) {
		if once.CompareAndSwap(false, true) {
			close(entered)
		}
		<-gate
	}))
	defer close(gate)
	r.dispatch(i, event{Type: a, ID: "blocks"})
	t.await("a call", entered)
	for range 10 {
		r.dispatch(i, event{Type: a, ID: "blocks"})
		r.settle(i, j)
	}
}

func lawNoSelfDeadlock(t *T) {
	for _, policy := range []eventtarget.Overflow{eventtarget.DropNewest, eventtarget.DropOldest, eventtarget.Block} {
		r := t.rig(2)
		i, j := r.cell()
		topic := eventtarget.T(t.name(), "")
		var left atomic.Int32
		left.Store(500)
		// Every event sets off one at the other end, and one listener more that
		// removes itself: at both ends, until enough have been.
		for _, at := range []int{i, j} {
			r.add(at, topic, eventtarget.Listener[raw]{Queue: 4, Overflow: policy, Handle: func(ctx context.Context, e event) {
				if left.Add(-1) < 0 {
					return
				}
				if reg, err := r.Endpoints[at].Add(ctx, topic, eventtarget.Func(func(context.Context, event) {})); err == nil {
					r.Endpoints[at].Remove(reg)
				}
				// The errors are ErrWouldBlock and ErrOverflow: it must not hang.
				_ = r.Endpoints[at].Dispatch(ctx, e)
				_ = r.Endpoints[at].Dispatch(ctx, e)
			}})
		}
		for range 8 {
			r.dispatch(i, event{Type: topic.Type})
		}
		t.eventually("the end of a storm, or a pause in it", func() bool {
			before := left.Load()
			r.settle(i, j)
			return before <= 0 || left.Load() == before
		})
		closed := eventtarget.T(t.name(), "")
		r.add(j, closed, eventtarget.Func(func(context.Context, event) { _ = r.Endpoints[j].Close() }))
		// ErrClosed: it was heard, and the end came before the dispatcher's own echo.
		if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: closed.Type}); err != nil && !errors.Is(err, eventtarget.ErrClosed) {
			t.Fatalf("Dispatch to a listener that closes: %v", err)
		}
		t.await("Close inside a listener, after a storm", r.Endpoints[j].Done())
	}
}
