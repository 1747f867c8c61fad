package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var busyLaws = []Law{
	{"C28", "snapshot-then-live", Optional, "who joins hears the last event of a retained topic, then every later one: none twice, none lost",
		"a hole between the state and what changes it", lawSnapshot},
	{"C30", "drain-and-hand-off", Must, "who shuts down sends what was accepted, then says that it goes away; who restarts asks each to come back at a time of its own",
		"a deployment that loses events, and a thousand clients that return at once", lawHandOff},
	{"D09", "churn", Stochastic, "while many peers come and go, those that stay hear everything, once and in order, and nothing is left of the others",
		"a broadcast that stumbles over who is just leaving", lawChurn},
	{"D11", "fairness", Must, "a spoke that floods the hub leaves another no less than a quarter of an equal share",
		"one loud customer who silences the others", lawFairness},
}

func lawSnapshot(t *T) {
	t.onlyHub()
	t.wire()
	t.need(t.Harness.Caps.Retains, "retains no events")
	topic := eventtarget.T(t.name(), "")
	r := t.rigWith(Setup{Endpoints: 2, Retain: func(of eventtarget.Topic) bool { return of == topic }})
	t.need(r.Foreign != nil, "the harness has no hook Foreign")
	number := func(p *plain) int {
		e := p.event()
		n, err := strconv.Atoi(string(e.Payload))
		if err != nil || e.Topic() != topic {
			t.Fatalf("a peer that joined hears %v with %s", e.Topic(), e.Payload)
		}
		return n
	}
	var count atomic.Int64 // of events that were accepted
	next := func() {
		n := count.Load() + 1
		if err := r.Endpoints[0].Dispatch(t.ctx, event{Type: topic.Type, Payload: raw(strconv.FormatInt(n, 10))}); err != nil {
			t.Errorf("Dispatch: %v", err)
		}
		count.Store(n)
	}
	next()
	p := r.join(false) // while nothing happens
	if n := number(p); n != 1 {
		t.Errorf("a peer that joined hears event %d, want the last", n)
	}
	next()
	if n := number(p); n != 2 {
		t.Errorf("behind the last event that was retained comes %d", n)
	}
	p.close()
	stop := make(chan struct{})
	var counting sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		counting.Wait()
	})
	t.cleanups = append(t.cleanups, end)
	counting.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Microsecond): // a rate, no wait for anything
				next()
			}
		}
	})
	for range 20 {
		before := int(count.Load())
		p := r.join(false)
		first := number(p)
		if first < before {
			t.Errorf("a peer that joined behind event %d hears %d first", before, first)
		}
		for k := range 10 {
			if n := number(p); n != first+1+k {
				t.Fatalf("behind event %d comes %d", first+k, n)
			}
		}
		p.close()
	}
	end()
}

func lawHandOff(t *T) {
	t.onlyHub()
	t.wire()
	const peers, events, spread = 10, 20, 10 * time.Second
	leave := func(how string, code eventtarget.Code, end func(r *rig) error) (retries []time.Duration) {
		r := t.rig(2)
		t.need(r.Foreign != nil, "the harness has no hook Foreign")
		var all []*plain
		for range peers {
			all = append(all, r.join(false))
		}
		a := t.name()
		for n := range events {
			r.dispatch(0, event{Type: a, ID: strconv.Itoa(n)})
		}
		result := make(chan error, 1)
		go func() { result <- end(r) }()
		for _, p := range all {
			for n := range events {
				if e := p.event(); e.ID != strconv.Itoa(n) {
					t.Fatalf("before %s event %d is %v", how, n, e.Topic())
				}
			}
			reason, told := p.end()
			if !told || reason.Code != code {
				t.Errorf("%s tells a peer %q, want %v", how, reason.Error(), code)
			}
			retries = append(retries, reason.Retry)
			p.close()
		}
		if err := <-result; err != nil {
			t.Errorf("%s: %v", how, err)
		}
		return retries
	}
	leave("Shutdown", eventtarget.CodeGoingAway, func(r *rig) error { return r.Endpoints[0].Shutdown(t.ctx) })
	unable := errors.New("cannot restart")
	type restarter interface {
		Restart(ctx context.Context, spread time.Duration) error
	}
	if _, can := t.rig(2).Endpoints[0].(restarter); !can {
		return
	}
	retries := leave("Restart", eventtarget.CodeRestart, func(r *rig) error {
		if h, can := r.Endpoints[0].(restarter); can {
			return h.Restart(t.ctx, spread)
		}
		return unable
	})
	first, last := slices.Min(retries), slices.Max(retries)
	if first <= 0 || last > spread+time.Millisecond || last-first < spread/20 {
		t.Errorf("Restart asks to come back after %v to %v, want that spread over %v", first, last, spread)
	}
}

func lawChurn(t *T) {
	t.onlyHub()
	t.wire()
	const tries = 3 // on a busy machine a sign of life may come too late
	for range tries {
		if t.churn() {
			return
		}
	}
	t.Errorf("%d times a spoke that was to stay was cut off", tries)
}

// churn lets peers come and go. It tells whether those that were to stay did.
func (t *T) churn() (stayed bool) {
	const visits = 40
	label := t.name()
	pprof.Do(t.ctx, pprof.Labels("rig", label), func(context.Context) {
		r := t.rig(3)
		defer r.takeDown()
		t.need(r.Foreign != nil && r.Spokes != nil, "the harness has no hooks Foreign and Spokes")
		r.quiesce()
		gaps, before := t.gaps(1)+t.gaps(2), goroutines(label)
		flows := []*traffic{t.traffic(r, 0, 1), t.traffic(r, 0, 2)}
		if !r.mute(1) {
			flows = append(flows, t.traffic(r, 1, 0))
		}
		for n := range visits {
			p := r.join(false)
			if n%2 == 0 { // the others leave while they are being written to
				p.event()
			}
			p.close()
		}
		for _, f := range flows {
			f.end()
		}
		if stayed = t.gaps(1)+t.gaps(2) == gaps; !stayed {
			return
		}
		for _, f := range flows {
			f.check()
		}
		t.eventually("a set of those that stay", func() bool { return len(r.Spokes()) == 2 })
		t.within("as many goroutines as before", func() bool { return goroutines(label) <= before }, func() string {
			return fmt.Sprintf("%d, before %d", goroutines(label), before)
		})
	})
	return stayed
}

func lawFairness(t *T) {
	t.onlyHub()
	const tries = 10
	events := int64(1000)
	if runtime.GOMAXPROCS(0) == 1 {
		events = 4000 // while anything can run there, Go looks only every 10 ms for what has come
	}
	r := t.rig(3)
	t.need(!r.mute(1), "the spokes say nothing")
	var flood atomic.Int64 // heard of the spoke that floods
	loud := eventtarget.T(t.name(), "")
	r.add(0, loud, eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, event) { flood.Add(1) }})
	stop := make(chan struct{})
	var flooding sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		flooding.Wait()
	})
	t.cleanups = append(t.cleanups, end)
	flooding.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if r.Endpoints[1].Dispatch(t.ctx, event{Type: loud.Type}) != nil { // more than it can send
				<-time.After(time.Millisecond)
			}
		}
	})
	t.eventually("the beginning of a flood", func() bool { return flood.Load() > 100 })
	var during int64
	for range tries { // on a busy machine one of them may have been kept waiting by others
		rec := r.listenInline(0, eventtarget.T(t.name(), ""))
		before := flood.Load()
		for range events {
			r.dispatch(2, event{Type: rec.reg.Topic().Type})
		}
		rec.wait(int(events))
		if during = flood.Load() - before; during <= 7*events {
			end()
			return
		}
	}
	end()
	t.Errorf("while %d events of a spoke were heard, so were %d of one that floods", events, during)
}
