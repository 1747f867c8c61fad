package eventtarget_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestNothingUntold: what was accepted before or while a registry ends is heard by everyone, or
// told to be discarded.
func TestNothingUntold(t *testing.T) {
	const rounds, events = 2000, 100
	for name, end := range map[string]func(r *eventtarget.Registry[int]) error{
		"close":    func(r *eventtarget.Registry[int]) error { r.Close(); return nil },
		"shutdown": func(r *eventtarget.Registry[int]) error { return r.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			for round := range rounds {
				var discarded atomic.Uint64
				r := eventtarget.NewRegistry[int](eventtarget.RegistryOptions{OnFault: func(f eventtarget.Fault) { discarded.Add(f.Count) }})
				selectors := []eventtarget.Topic{eventtarget.T("a", "1"), eventtarget.T("a", "*"), eventtarget.T("*", "*")}
				heard := make([][events]bool, len(selectors))
				for i, s := range selectors {
					if _, err := r.Add(t.Context(), s, eventtarget.Func(func(_ context.Context, e eventtarget.Event[int]) { heard[i][e.Payload] = true })); err != nil {
						t.Fatal(err)
					}
				}
				accepted := 0
				var wg sync.WaitGroup
				wg.Go(func() {
					for ; accepted < events; accepted++ {
						if err := r.Deliver(context.Background(), eventtarget.Event[int]{Type: "a", ID: "1", Payload: accepted}); err != nil {
							if !errors.Is(err, eventtarget.ErrClosed) {
								t.Error(err)
							}
							return
						}
					}
				})
				for range round % 100 {
					runtime.Gosched()
				}
				if err := end(r); err != nil {
					t.Error(err)
				}
				wg.Wait()
				<-r.Done()
				var lost uint64
				for i := range heard {
					for n := range accepted {
						if !heard[i][n] {
							lost++
						}
					}
				}
				if lost > discarded.Load() {
					t.Fatalf("round %d: of %d events %d were lost, %d are told", round, accepted, lost, discarded.Load())
				}
			}
		})
	}
}
