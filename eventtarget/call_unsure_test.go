package eventtarget_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestCallUnsure: a request whose Dispatch fails some have heard, as where it waits for
// another listener: they are told that nobody waits.
func TestCallUnsure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, _ := pair(t)
		serving := make(chan context.Context, 1)
		service, err := sum.Serve(t.Context(), there, func(ctx context.Context, _ eventtarget.Event[[]int]) (int, error) {
			serving <- ctx
			<-ctx.Done()
			return 0, ctx.Err()
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		if _, err := there.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[raw]{
			Queue: 1, Overflow: eventtarget.Block, Handle: func(context.Context, eventtarget.Event[raw]) { <-release },
		}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // one is handled, and one waits
			if err := here.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "fill"}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := sum.Call(ctx, here, []int{1}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the call: %v", err)
		}
		if late := time.Since(begin) - time.Second; late > 100*time.Millisecond {
			t.Errorf("it returned %v late", late)
		}
		synctest.Wait()
		if served := <-serving; served.Err() == nil {
			t.Error("it is still served")
		}
		close(release)
		service.Close()
		<-service.Done()
	})
}
