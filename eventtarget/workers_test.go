package eventtarget

import (
	"context"
	"strconv"
	"testing"
)

// TestReadyBounded: what waits for a worker is as long as there are listeners with something
// to do, however long none of them has been idle.
func TestReadyBounded(t *testing.T) {
	const listeners, events = 64, 2000
	r := NewRegistry[int](RegistryOptions{})
	done := make(chan struct{}, listeners)
	for i := range listeners {
		topic := T("a", strconv.Itoa(i))
		_, err := r.Add(t.Context(), topic, Func(func(_ context.Context, e Event[int]) {
			if e.Payload == events {
				done <- struct{}{}
				return
			}
			if err := r.Deliver(context.Background(), Event[int]{Type: topic.Type, ID: topic.ID, Payload: e.Payload + 1}); err != nil {
				t.Error(err)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Deliver(t.Context(), Event[int]{Type: topic.Type, ID: topic.ID}); err != nil {
			t.Fatal(err)
		}
	}
	for range listeners {
		<-done
	}
	<-r.Idle()
	r.workers.mu.Lock()
	defer r.workers.mu.Unlock()
	if n := cap(r.workers.ready); n > 4*listeners {
		t.Errorf("room for %d listeners of %d", n, listeners)
	}
}

// TestOneWorker: a listener with much to do, which comes back for more again and again, takes
// one worker, and each time starts none that finds nothing to do.
func TestOneWorker(t *testing.T) {
	const events = 1000
	r := NewRegistry[int](RegistryOptions{})
	queued := make(chan struct{})
	most := 0
	_, err := r.Add(t.Context(), T("a", ""), Func(func(context.Context, Event[int]) {
		<-queued
		r.workers.mu.Lock()
		most = max(most, r.workers.running)
		r.workers.mu.Unlock()
	}))
	if err != nil {
		t.Fatal(err)
	}
	for range events {
		if err := r.Deliver(t.Context(), Event[int]{Type: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	close(queued)
	<-r.Idle()
	if most != 1 {
		t.Errorf("%d workers for one listener", most)
	}
}
