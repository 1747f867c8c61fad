package eventtarget_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestDeliverThen: an event is behind the registry when the last of its listeners has
// returned, whatever became of it there, and never when Close discarded it.
func TestDeliverThen(t *testing.T) {
	type event = eventtarget.Event[int]
	type listener = eventtarget.Listener[int]
	for name, c := range map[string]struct {
		listeners []listener
		opened    bool // the gate, at the end
		end       func(r *eventtarget.Registry[int], all []*eventtarget.Registration)
		before    int32 // how many of three are behind before that
		after     int32
	}{
		"nobody":         {before: 3, after: 3},
		"inline":         {listeners: []listener{{Inline: true}}, before: 3, after: 3},
		"queued":         {listeners: []listener{{}}, opened: true, before: 0, after: 3},
		"two":            {listeners: []listener{{}, {Queue: 1}}, opened: true, before: 0, after: 3},
		"dropped":        {listeners: []listener{{Queue: 1}}, opened: true, before: 1, after: 3},
		"dropped oldest": {listeners: []listener{{Queue: 1, Overflow: eventtarget.DropOldest}}, opened: true, before: 1, after: 3},
		"once":           {listeners: []listener{{Once: true}}, opened: true, before: 2, after: 3},
		"removed": {listeners: []listener{{}}, opened: true, before: 0, after: 3, end: func(r *eventtarget.Registry[int], all []*eventtarget.Registration) {
			r.Remove(all[0])
		}},
		"closed": {listeners: []listener{{}}, opened: true, before: 0, after: 0, end: func(r *eventtarget.Registry[int], _ []*eventtarget.Registration) {
			r.Close()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := eventtarget.NewRegistry[int](eventtarget.RegistryOptions{Adapter: "test", OnFault: func(eventtarget.Fault) {}})
				gate := make(chan struct{})
				var all []*eventtarget.Registration
				for _, l := range c.listeners {
					l.Handle = func(context.Context, event) {
						if !l.Inline {
							<-gate
						}
						panic("behind it all the same")
					}
					reg, err := r.Add(t.Context(), eventtarget.T("a", ""), l)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, reg)
				}
				var behind atomic.Int32
				for n := range 3 {
					if err := r.DeliverThen(t.Context(), event{Type: "a", Payload: n}, func() { behind.Add(1) }); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				if got := behind.Load(); got != c.before {
					t.Errorf("%d of 3 events are behind it while a listener runs, want %d", got, c.before)
				}
				if c.end != nil {
					c.end(r, all)
				}
				if c.opened {
					close(gate)
				}
				synctest.Wait()
				if got := behind.Load(); got != c.after {
					t.Errorf("%d of 3 events are behind it in the end, want %d", got, c.after)
				}
				if !c.opened {
					close(gate)
				}
				r.Close()
				<-r.Done()
				if err := r.DeliverThen(t.Context(), event{Type: "a"}, func() { t.Error("behind what is closed") }); !errors.Is(err, eventtarget.ErrClosed) {
					t.Errorf("DeliverThen to what is closed: %v", err)
				}
			})
		})
	}
}

// TestDeliverThenGoexit: an Inline listener that ends the goroutine has finished with the
// event like one that returned.
func TestDeliverThenGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := eventtarget.NewRegistry[int](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
		defer r.Close()
		gate := make(chan struct{})
		for _, l := range []eventtarget.Listener[int]{
			{Inline: true, Handle: func(context.Context, eventtarget.Event[int]) { runtime.Goexit() }},
			{Handle: func(context.Context, eventtarget.Event[int]) { <-gate }},
		} {
			if _, err := r.Add(t.Context(), eventtarget.T("a", ""), l); err != nil {
				t.Fatal(err)
			}
		}
		var behind atomic.Bool
		go func() {
			_ = r.DeliverThen(t.Context(), eventtarget.Event[int]{Type: "a"}, func() { behind.Store(true) })
		}()
		synctest.Wait()
		if behind.Load() {
			t.Error("behind it while a listener runs")
		}
		close(gate)
		synctest.Wait()
		if !behind.Load() {
			t.Error("never behind it")
		}
	})
}

// TestDeliverThenRemoved: an event is behind a listener that is removed at the moment when its
// worker has told of those before, and looks for the next.
func TestDeliverThenRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := eventtarget.NewRegistry[int](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
		defer r.Close()
		// What ended the goroutine is told by the next one, before it looks.
		returned := make(chan struct{}) // if it did not wait for that, DeliverThen itself might be the last, and told
		reg, err := r.Add(t.Context(), eventtarget.T("a", ""), eventtarget.Func(func(context.Context, eventtarget.Event[int]) {
			<-returned
			runtime.Goexit()
		}))
		if err != nil {
			t.Fatal(err)
		}
		told, removed, behind := make(chan struct{}), make(chan struct{}), false
		if err := r.DeliverThen(t.Context(), eventtarget.Event[int]{Type: "a"}, func() { close(told); <-removed }); err != nil {
			t.Fatal(err)
		}
		close(returned)
		<-told
		if err := r.DeliverThen(t.Context(), eventtarget.Event[int]{Type: "a"}, func() { behind = true }); err != nil {
			t.Fatal(err)
		}
		r.Remove(reg)
		close(removed)
		synctest.Wait()
		if !behind {
			t.Error("never behind it")
		}
	})
}

// TestDeliverThenTaken: what the worker has taken together with the event that it is at is not
// behind the registry, though events behind that are dropped meanwhile.
func TestDeliverThenTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queue = 4
		r := eventtarget.NewRegistry[int](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
		var heard []int
		proceed := make(chan struct{})
		reg, err := r.Add(t.Context(), eventtarget.T("a", ""), eventtarget.Listener[int]{
			Queue: queue, Overflow: eventtarget.DropOldest,
			Handle: func(_ context.Context, e eventtarget.Event[int]) {
				heard = append(heard, e.Payload)
				<-proceed
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		eventtarget.ClaimTogether[int](reg, queue)
		var behind []int
		deliver := func(from, to int) {
			for n := from; n < to; n++ {
				if err := r.DeliverThen(t.Context(), eventtarget.Event[int]{Type: "a", Payload: n}, func() { behind = append(behind, n) }); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		deliver(0, 1)
		deliver(1, 1+queue) // 1 to 4 are taken together when 0 is handled
		proceed <- struct{}{}
		synctest.Wait()
		deliver(5, 5+queue+2) // 5 and 6 are dropped
		if want := []int{0, 5, 6}; !slices.Equal(behind, want) {
			t.Errorf("while 1 is handled %v are behind it, not %v", behind, want)
		}
		proceed <- struct{}{}
		synctest.Wait()
		if want := []int{0, 5, 6, 1}; !slices.Equal(behind, want) {
			t.Errorf("while 2 is handled %v are behind it, not %v", behind, want)
		}
		close(proceed)
		synctest.Wait()
		if want := []int{0, 1, 2, 3, 4, 7, 8, 9, 10}; !slices.Equal(heard, want) || len(behind) != 11 {
			t.Errorf("%v are heard, %v are behind it", heard, behind)
		}
		r.Close()
		<-r.Done()
	})
}
