package eventtarget_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// TestRandomCalls: whatever is called, served, cancelled and closed on a target alone, on a bus
// and among peers, each call returns once, with the answer to its own request or for a reason
// that there is, what is cancelled ends, and nothing is left.
func TestRandomCalls(t *testing.T) {
	for _, kind := range []string{"alone", "a bus", "peers"} {
		t.Run(kind, func(t *testing.T) {
			nemesis.Walk(t, 8, func(t *testing.T, seed uint64) {
				synctest.Test(t, func(t *testing.T) { walkCalls(t, kind, seed) })
			})
		})
	}
}

// end is a target among others: what one dispatches all hear.
type end struct {
	*eventtarget.Registry[raw]
	w     *callWalk
	place *nemesis.Place
	regs  []*eventtarget.Registration
}

func (e *end) Dispatch(ctx context.Context, ev eventtarget.Event[raw]) error {
	if err := e.CheckDispatch(ctx, ev.Topic()); err != nil {
		return err
	}
	ev.Source = nil
	if e.w.peers {
		ev.Source = other{e}
	}
	return e.w.deliver(ctx, ev, e.w.all())
}

// other is an end as the others see it.
type other struct{ *end }

func (o other) ID() string       { return o.place.Name }
func (o other) Identity() string { return "" }

func (o other) Dispatch(ctx context.Context, ev eventtarget.Event[raw]) error {
	if o.Closed() {
		return eventtarget.ErrGone
	}
	ev.Source = nil
	return o.w.deliver(ctx, ev, []*end{o.end})
}

// callWalk does at random what can be done with calls.
type callWalk struct {
	nemesis.Calls
	t       *testing.T
	rng     *rand.Rand
	peers   bool
	cancels []func()
	running sync.WaitGroup

	mu   sync.Mutex
	ends []*end
	made int
}

// deliver brings an event to some.
func (w *callWalk) deliver(ctx context.Context, ev eventtarget.Event[raw], to []*end) error {
	for _, e := range to {
		if err := e.Deliver(ctx, ev); err != nil && !errors.Is(err, eventtarget.ErrClosed) {
			return err
		}
	}
	return nil
}

func (w *callWalk) all() []*end {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*end(nil), w.ends...)
}

func walkCalls(t *testing.T, kind string, seed uint64) {
	w := &callWalk{t: t, rng: rand.New(rand.NewPCG(seed, 0)), peers: kind == "peers"}
	w.T, w.Reaches = t, func(_, _ *nemesis.Place) bool { return true }
	w.Hears = func(_, _, _ *nemesis.Place) bool { return !w.peers }
	n := 3
	if kind == "alone" {
		n = 1
	}
	for range n {
		w.open()
	}
	for range 150 {
		w.step()
	}
	w.finish()
	w.Tell()
}

// open adds an end, at which somebody hears all answers.
func (w *callWalk) open() {
	e := &end{w: w, place: &nemesis.Place{Name: fmt.Sprint("end", w.made)}}
	w.made++
	e.place.Target = e
	e.Registry = eventtarget.NewRegistry[raw](eventtarget.RegistryOptions{OnFault: w.fault})
	for _, m := range nemesis.Methods {
		r, err := e.Add(w.t.Context(), eventtarget.T(m.Name+".answered", "*"), eventtarget.Func(func(_ context.Context, ev eventtarget.Event[raw]) {
			var reply nemesis.Reply
			if err := json.Unmarshal(ev.Payload, &reply); err != nil {
				w.t.Error(err)
			}
			w.Overhears(e.place, reply)
		}))
		if err != nil {
			w.t.Fatal(err)
		}
		e.regs = append(e.regs, r)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends = append(w.ends, e)
}

// fault looks at those that there may be: panics that were asked for, and answers that
// somebody who closes cannot give.
func (w *callWalk) fault(f eventtarget.Fault) {
	w.Note("%v", f)
	switch f.Kind {
	case eventtarget.FaultPanic, eventtarget.FaultDiscarded, eventtarget.FaultOverflow:
	default:
		if !errors.Is(f.Err, eventtarget.ErrClosed) {
			w.t.Error(f)
		}
	}
}

func (w *callWalk) upto(most int) time.Duration {
	return time.Duration(1+w.rng.IntN(most)) * time.Millisecond
}

func (w *callWalk) step() {
	ends := w.all()
	e := ends[w.rng.IntN(len(ends))]
	live := w.Live()
	switch r := w.rng.IntN(100); {
	case r < 40:
		w.call(e.place)
	case r < 50 && len(w.cancels) > 0:
		w.cancels[w.rng.IntN(len(w.cancels))]()
	case r < 60 && len(live) < 6:
		o := eventtarget.ServeOptions{Concurrent: w.rng.IntN(4)}
		if w.rng.IntN(4) == 0 {
			o.Queue = 1 + w.rng.IntN(3)
		}
		w.Serve(e.place, w.rng.IntN(2), o)
	case r < 66 && len(live) > 0:
		resting := w.rng.IntN(2) == 0
		if resting {
			w.rest()
		}
		w.Close(live[w.rng.IntN(len(live))], resting)
	case r < 86:
		<-time.After(w.upto(500))
	case r < 97:
		w.rest()
	case len(ends) > 1:
		w.leave(e)
		w.open()
	}
}

func (w *callWalk) rest() {
	synctest.Wait()
	w.Rest()
}

// call begins a call, with a context that ends or does not.
func (w *callWalk) call(p *nemesis.Place) {
	var cancel context.CancelFunc
	ctx := w.t.Context()
	switch w.rng.IntN(8) {
	case 0, 1, 2:
		ctx, cancel = context.WithTimeout(ctx, w.upto(3000))
	case 3:
		ctx, cancel = context.WithTimeoutCause(ctx, w.upto(3000), errors.New("it takes too long"))
	case 4:
		var stop context.CancelCauseFunc
		ctx, stop = context.WithCancelCause(ctx)
		cancel = func() { stop(errors.New("not wanted")) }
	default:
		ctx, cancel = context.WithCancel(ctx)
	}
	if w.rng.IntN(20) == 0 {
		cancel()
	}
	w.cancels = append(w.cancels, cancel)
	method, do, wait := w.rng.IntN(2), nemesis.Do(w.rng.IntN(int(nemesis.Done))), w.upto(2000)
	if do == nemesis.End && w.rng.IntN(3) > 0 {
		do = nemesis.Answer
	}
	w.running.Go(func() { w.Call(ctx, p, method, do, wait) })
}

// leave ends an end while it may be in use.
func (w *callWalk) leave(e *end) {
	w.mu.Lock()
	for i, o := range w.ends {
		if o == e {
			w.ends = append(w.ends[:i:i], w.ends[i+1:]...)
			break
		}
	}
	w.mu.Unlock()
	w.Closing(e.place)
	if w.rng.IntN(2) == 0 {
		e.Registry.Close()
		w.Closed(e.place)
		return
	}
	most := w.upto(3000)
	w.running.Go(func() {
		ctx, cancel := context.WithTimeout(w.t.Context(), most)
		defer cancel()
		if err := e.Shutdown(ctx); err != nil && ctx.Err() == nil {
			w.t.Error(err)
		}
		w.Closed(e.place)
	})
}

// finish ends everything, and looks at what is left.
func (w *callWalk) finish() {
	w.rest()
	for _, cancel := range w.cancels {
		cancel()
	}
	w.rest()
	<-time.After(time.Minute)
	w.rest()
	for _, s := range w.Live() {
		if answering, _ := s.Remembers(); answering > 0 {
			w.t.Errorf("a service has entries for %d calls that are over", answering)
		}
		w.Close(s, true)
	}
	w.rest()
	w.running.Wait()
	if n := w.Pending(); n > 0 {
		w.t.Errorf("%d calls have not returned", n)
	}
	for _, e := range w.all() {
		for _, r := range e.regs {
			e.Remove(r)
		}
		if n := e.Len(); n > 0 {
			w.t.Errorf("%d registrations are left at %s", n, e.place.Name)
		}
		e.Registry.Close()
		<-e.Done()
	}
}
