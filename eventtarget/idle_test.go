package eventtarget_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestIdle: everything that was delivered has been handled when Idle says so, and not
// before; a listener that ends its goroutine holds up nothing.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := eventtarget.NewRegistry[raw](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
		defer r.Close()
		<-r.Idle()
		const many = 5
		for n := range 3 {
			if _, err := r.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {
				time.Sleep(time.Duration(n+1) * time.Second)
				if n == 0 {
					runtime.Goexit()
				}
			})); err != nil {
				t.Fatal(err)
			}
		}
		for range many {
			if err := r.Deliver(t.Context(), eventtarget.Event[raw]{Type: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		began, first := time.Now(), r.Idle()
		<-r.Idle()
		<-first
		if took := time.Since(began); took != 3*many*time.Second {
			t.Errorf("idle after %v", took)
		}
		<-r.Idle()
	})
}
