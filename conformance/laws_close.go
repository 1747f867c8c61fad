package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var closeLaws = []Law{
	{"A28", "close-idempotent", Must, "Close twice, and from many goroutines: nil, and all return",
		"libraries disagree: it is fixed here", lawCloseIdempotent},
	{"A29", "use-after-close", Must, "after Close Add and Dispatch are ErrClosed and Remove is false; after Shutdown no listener is called",
		"a nil from a target that is gone is a silent loss", lawUseAfterClose},
	{"A30", "shutdown-drains", Must, "Shutdown delivers what was accepted, while it runs too, and waits for listeners, within its context; what it could not is told",
		"losses at exit", everyWay(lawShutdownDrains)},
	{"A31", "close-unblocks", Must, "Close ends a Dispatch that waits, for a listener or for the other end, and a loop of them",
		"a program that cannot exit", lawCloseUnblocks},
}

var leakLaws = []Law{
	{"A32", "no-goroutine-leak", Must, "after Close, and after many Adds and Removes, no goroutine is left",
		"leaks", lawNoGoroutineLeak},
	{"A33", "no-topic-leak", Must, "memory returns to where it was after many topics were added and removed",
		"a map that only grows", lawNoTopicLeak},
}

func lawCloseIdempotent(t *T) {
	r := t.rig(2)
	for n, e := range r.Endpoints {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := e.Close(); err != nil {
					t.Errorf("Close of endpoint %d: %v", n, err)
				}
			})
		}
		wg.Wait()
		if err := e.Close(); err != nil {
			t.Errorf("another Close of endpoint %d: %v", n, err)
		}
		t.await("Done", e.Done())
		if s := e.State(); s != eventtarget.StateClosed {
			t.Errorf("state of endpoint %d after Close: %v", n, s)
		}
	}
}

func lawUseAfterClose(t *T) {
	for _, end := range []func(e eventtarget.Endpoint) error{
		func(e eventtarget.Endpoint) error { return e.Close() },
		func(e eventtarget.Endpoint) error { return e.Shutdown(t.ctx) },
	} {
		r := t.rig(2)
		_, j := r.cell()
		topic := eventtarget.T(t.name(), "")
		var over, late atomic.Bool
		reg := r.add(j, topic, eventtarget.Func(func(context.Context, event) {
			if over.Load() {
				late.Store(true)
			}
		}))
		e := r.Endpoints[j]
		if err := end(e); err != nil {
			t.Errorf("ending endpoint %d: %v", j, err)
		}
		t.await("the registration's Done", reg.Done())
		over.Store(true)
		if _, err := e.Add(t.ctx, topic, eventtarget.Func(func(context.Context, event) {})); !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Add after the end: %v", err)
		}
		for range 3 {
			if err := e.Dispatch(t.ctx, event{Type: topic.Type}); !errors.Is(err, eventtarget.ErrClosed) {
				t.Errorf("Dispatch after the end: %v", err)
			}
		}
		if e.Remove(reg) {
			t.Errorf("Remove after the end is true")
		}
		t.await("the endpoint's Done", e.Done())
		if late.Load() {
			t.Errorf("a listener was called after the end")
		}
		if err := e.Ready(t.ctx); !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Ready after the end: %v", err)
		}
	}
}

func lawShutdownDrains(t *T, r *rig, i, j int) {
	const events = 500
	topic := eventtarget.T(t.name(), "")
	rec := r.listen(j, topic)
	for n := range events {
		r.dispatch(i, event{Type: topic.Type, Payload: raw(strconv.Itoa(n))})
	}
	if err := r.Endpoints[i].Shutdown(t.ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for n, p := range payloads(rec.wait(events)) {
		if p != strconv.Itoa(n) {
			t.Fatalf("event %d is %s", n, p)
		}
	}
	// The listeners of the endpoint that shuts down, in flight and waiting.
	r = t.rig(3)
	gate, entered := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	r.add(j, topic, eventtarget.Func(func(context.Context, event) {
		if calls.Add(1) == 1 {
			close(entered)
		}
		<-gate
	}))
	for range 10 {
		r.dispatch(i, event{Type: topic.Type})
	}
	t.await("a call", entered)
	r.settle(i, j)
	result := make(chan error)
	go func() { result <- r.Endpoints[j].Shutdown(t.ctx) }()
	close(gate)
	if err := <-result; err != nil || calls.Load() != 10 {
		t.Errorf("Shutdown with 10 events in a listener's queue: %v after %d calls", err, calls.Load())
	}
	// A listener that does not end in time.
	r = t.rig(3)
	release := r.blocked(i, j, topic, eventtarget.DropNewest)
	r.settle(i, j)
	ctx, cancel := context.WithCancelCause(t.ctx)
	late := errors.New("too late")
	cancel(late)
	if err := r.Endpoints[j].Shutdown(ctx); !errors.Is(err, late) {
		t.Errorf("Shutdown that ran out of time: %v", err)
	}
	t.awaitFault("one event was discarded", j, func(f eventtarget.Fault) bool {
		return f.Kind == eventtarget.FaultDiscarded && f.Count > 0
	})
	release()
	for range 3 {
		t.shutdownUnderDispatch(i, j)
	}
	t.shutdownHeldUp(i, j)
}

// shutdownUnderDispatch shuts i down while it dispatches: each event is either
// heard or refused.
func (t *T) shutdownUnderDispatch(i, j int) {
	const most = 2000 // fewer than a queue or a log holds
	r := t.rig(3)
	topic := eventtarget.T(t.name(), "")
	rec := r.listen(j, topic)
	accepted, refusal := 0, error(nil)
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for ; accepted < most && refusal == nil; accepted++ {
			if accepted == 10 {
				close(began)
			}
			refusal = r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type, Payload: raw(strconv.Itoa(accepted))})
		}
	}()
	t.await("some dispatches", began)
	if err := r.Endpoints[i].Shutdown(t.ctx); err != nil {
		t.Errorf("Shutdown while events are dispatched: %v", err)
	}
	t.await("the dispatcher", ended)
	if refusal != nil {
		accepted--
		if !errors.Is(refusal, eventtarget.ErrClosed) {
			t.Errorf("Dispatch during Shutdown: %v", refusal)
		}
	}
	t.heardAll(rec, accepted)
}

// shutdownHeldUp is the same, while a listener that does not return keeps Shutdown waiting, if
// it waits for listeners: however many processors there are, both run then.
func (t *T) shutdownHeldUp(i, j int) {
	const most = 100
	r := t.rig(3)
	topic := eventtarget.T(t.name(), "")
	rec := r.listen(j, topic)
	release := sync.OnceFunc(r.blocked(i, j, eventtarget.T(t.name(), ""), eventtarget.DropNewest))
	result := make(chan error, 1)
	go func() { result <- r.Endpoints[i].Shutdown(t.ctx) }()
	defer time.AfterFunc(time.Second, release).Stop() // Dispatch may wait for Shutdown, too
	accepted := 0
	for ; accepted < most; accepted++ {
		if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type, Payload: raw(strconv.Itoa(accepted))}); err != nil {
			if !errors.Is(err, eventtarget.ErrClosed) {
				t.Errorf("Dispatch during Shutdown: %v", err)
			}
			break
		}
		<-time.After(time.Millisecond)
	}
	release()
	if err := <-result; err != nil {
		t.Errorf("Shutdown while a listener runs and events are dispatched: %v", err)
	}
	t.heardAll(rec, accepted)
}

// heardAll checks what was heard of events that were dispatched during a Shutdown.
func (t *T) heardAll(rec *record, accepted int) {
	for n, p := range payloads(rec.wait(accepted))[:accepted] {
		if p != strconv.Itoa(n) {
			t.Fatalf("of events dispatched during Shutdown, event %d is %s", n, p)
		}
	}
}

func lawCloseUnblocks(t *T) {
	r := t.rig(2)
	if at, hears := r.itself(); hears {
		topic := eventtarget.T(t.name(), "")
		release := r.blocked(at, at, topic, eventtarget.Block)
		defer release()
		t.endsWithClose(r.Endpoints[at], topic)
	}
	r = t.rigWith(Setup{Endpoints: 2, Outgoing: 8, Overflow: eventtarget.Block})
	i, j := r.cell()
	if r.Stall != nil {
		r.Stall(j)
	}
	t.endsWithClose(r.Endpoints[i], eventtarget.T(t.name(), ""))
}

// endsWithClose closes e while a loop dispatches, and waits for its end.
func (t *T) endsWithClose(e eventtarget.Endpoint, topic eventtarget.Topic) {
	done := make(chan struct{})
	began := make(chan struct{})
	go func() {
		defer close(done)
		close(began)
		for t.ctx.Err() == nil && e.Dispatch(t.ctx, event{Type: topic.Type}) == nil {
			runtime.Gosched()
		}
	}()
	<-began
	runtime.Gosched()
	_ = e.Close()
	t.await("the end of a Dispatch that waited, after Close", done)
}

// goroutines counts those that carry a label.
func goroutines(label string) int {
	var b strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	n, group := 0, 0
	for line := range strings.Lines(b.String()) {
		_, _ = fmt.Sscanf(line, "%d @", &group) // what follows is about so many
		if strings.HasPrefix(line, "# labels:") && strings.Contains(line, strconv.Quote(label)) {
			n += group
		}
	}
	return n
}

func lawNoGoroutineLeak(t *T) {
	label := t.name()
	pprof.Do(t.ctx, pprof.Labels("rig", label), func(context.Context) {
		r := t.rig(3)
		i, j := r.cell()
		topic := eventtarget.T(t.name(), "")
		r.quiesce() // both ends of every connection run then
		before := goroutines(label)
		for n := range 1000 {
			reg := r.add(j, topic, eventtarget.Func(func(context.Context, event) {}))
			if n%10 == 0 {
				r.dispatch(i, event{Type: topic.Type})
			}
			r.Endpoints[j].Remove(reg)
		}
		r.settle(i, j)
		now := 0
		t.within("as many goroutines as before 1000 Adds and Removes", func() bool {
			now = goroutines(label)
			return now <= before
		}, func() string { return fmt.Sprintf("%d, and there were %d", now, before) })
		for range 10 {
			r.listen(j, topic)
		}
		for range 10 {
			r.dispatch(i, event{Type: topic.Type})
		}
		r.takeDown()
	})
	// The law's own goroutine has left the label.
	t.eventually("no goroutine of a rig that was closed", func() bool { return goroutines(label) == 0 })
}

func lawNoTopicLeak(t *T) {
	const topics, adders = 10_000, 8
	r := t.rig(2)
	i, j := r.cell()
	round := func(prefix string) {
		var wg sync.WaitGroup
		for first := range adders {
			wg.Go(func() {
				var regs []*eventtarget.Registration
				for n := first; n < topics; n += adders {
					reg, err := r.Endpoints[j].Add(t.ctx, eventtarget.T(prefix+strconv.Itoa(n), "x"), eventtarget.Func(func(context.Context, event) {}))
					if err != nil {
						t.Errorf("Add of topic %d: %v", n, err)
						break
					}
					regs = append(regs, reg)
				}
				for _, reg := range regs {
					r.Endpoints[j].Remove(reg)
				}
			})
		}
		wg.Wait()
		r.settle(i, j)
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	round("warm")
	before := heap()
	round("again")
	const slack = 1 << 20 // 10 000 topics cost several times that
	if after := heap(); after > before+slack {
		t.Errorf("%d topics added and removed left %d KiB behind", topics, (after-before)>>10)
	}
}
