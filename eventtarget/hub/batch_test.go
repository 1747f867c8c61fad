package hub_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// batchBus is a bad bus that takes many events at once, and notes how many.
type batchBus struct {
	*badBus
	mu    sync.Mutex
	sizes []int
}

// taken returns the sizes of the batches so far.
func (b *batchBus) taken() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sizes)
}

func (b *batchBus) DispatchAll(ctx context.Context, events []eventtarget.Event[raw]) []error {
	b.mu.Lock()
	b.sizes = append(b.sizes, len(events))
	b.mu.Unlock()
	var errs []error
	for i, e := range events {
		err := errors.New("one before it was lost")
		if errs == nil {
			err = b.Dispatch(ctx, e)
		}
		if err != nil && errs == nil {
			errs = make([]error, len(events))
		}
		if err != nil {
			errs[i] = err
		}
	}
	return errs
}

// What gathers while the bus is busy is handed to it together, in order and not all of it at
// once; where it fails the others are told before anything else.
func TestJoinedBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		hubs, _ := joined(t, &bus, 1, hub.Options{})
		p := attach(t, hubs[0], hub.Meta{})
		p.subscribe("n:*")
		h, on := newHub(t, hub.Options{}), &batchBus{badBus: newBadBus(t, &bus)}
		on.loses = func(e eventtarget.Event[raw]) bool { return e.ID == "603" }
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		stuck := make(chan struct{})
		on.stuck.Store(&stuck)
		count(t, h, 0, 1)
		synctest.Wait() // the bus has that one
		count(t, h, 1, 1000)
		synctest.Wait()
		on.stuck.Store(nil)
		close(stuck)
		synctest.Wait()
		count(t, h, 1000, 1001)
		// 256 at once: 603 is in the third batch, with 165 behind it.
		want := append(counted(0, 603), `__gap: {"count":166}`)
		p.expect(append(want, counted(769, 1001)...)...)
		if sizes := on.taken(); len(sizes) > 6 {
			t.Errorf("batches of %v", sizes)
		}
	})
}

// Large events go few at a time, so that a slow bus is seen to take something.
func TestJoinedBatchBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		h, on := newHub(t, hub.Options{}), &batchBus{badBus: newBadBus(t, &bus)}
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		stuck := make(chan struct{})
		on.stuck.Store(&stuck)
		for range 10 {
			dispatch(t, h, "n", "", `"`+strings.Repeat("x", 60<<10)+`"`)
			synctest.Wait()
		}
		on.stuck.Store(nil)
		close(stuck)
		synctest.Wait()
		if sizes := on.taken(); !slices.Equal(sizes, []int{1, 2, 2, 2, 2, 1}) {
			t.Errorf("batches of %v", sizes)
		}
	})
}
