package eventtarget_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestShutdownOvertaken: nil says that everything was drained, so that a Shutdown during which
// a Close, or another Shutdown whose time is up, discards something does not return it.
func TestShutdownOvertaken(t *testing.T) {
	for name, overtake := range map[string]func(r *eventtarget.Registry[int]){
		"close": func(r *eventtarget.Registry[int]) { r.Close() },
		"shutdown": func(r *eventtarget.Registry[int]) {
			ended, cancel := context.WithCancel(context.Background())
			cancel()
			if err := r.Shutdown(ended); !errors.Is(err, context.Canceled) {
				t.Errorf("the one whose time is up: %v", err)
			}
		},
	} {
		for _, waiting := range []int{0, 3} {
			synctest.Test(t, func(t *testing.T) {
				r := eventtarget.NewRegistry[int](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
				gate := make(chan struct{})
				if _, err := r.Add(t.Context(), eventtarget.T("a", ""), eventtarget.Func(func(context.Context, eventtarget.Event[int]) { <-gate })); err != nil {
					t.Fatal(err)
				}
				for range 1 + waiting {
					if err := r.Deliver(t.Context(), eventtarget.Event[int]{Type: "a"}); err != nil {
						t.Fatal(err)
					}
				}
				result := make(chan error, 1)
				go func() { result <- r.Shutdown(context.Background()) }()
				synctest.Wait()
				overtake(r)
				close(gate)
				if err := <-result; errors.Is(err, eventtarget.ErrClosed) != (waiting > 0) || waiting == 0 && err != nil {
					t.Errorf("%s, with %d events in the queue: %v", name, waiting, err)
				}
			})
		}
	}
}

// TestShutdownOfNothing: where there is nothing to drain it does not matter that the time for
// it is up.
func TestShutdownOfNothing(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for range 100 {
		r := eventtarget.NewRegistry[int](eventtarget.RegistryOptions{})
		if err := r.Shutdown(ended); err != nil {
			t.Fatal(err)
		}
	}
}
