package mutants

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// lifeMutants end wrongly, or leave something behind.
func lifeMutants() []Mutant {
	return []Mutant{
		local("fails to close twice", []string{"A28"}, func(w *wrong) {
			var n atomic.Int32
			w.close = func() error {
				if n.Add(1) > 1 {
					return errors.New("already closed")
				}
				return w.Endpoint.Close()
			}
		}),
		local("drops at Shutdown", []string{"A30"}, func(w *wrong) {
			w.shutdown = func(context.Context) error { return w.Endpoint.Close() }
		}),
		local("accepts what it loses while it shuts down", []string{"A30"}, func(w *wrong) {
			var ending atomic.Bool
			w.shutdown = func(ctx context.Context) error {
				ending.Store(true)
				defer ending.Store(false)
				return w.Endpoint.Shutdown(ctx)
			}
			w.dispatch = func(ctx context.Context, e event) error {
				err := w.Endpoint.Dispatch(ctx, e)
				if errors.Is(err, eventtarget.ErrClosed) && ending.Load() {
					return nil
				}
				return err
			}
		}),
		local("does not close", []string{"A28", "A31"}, func(w *wrong) {
			w.close = func() error { return nil }
		}),
		local("closes where it is called", []string{"A15"}, func(w *wrong) {
			w.close = func() error {
				err := w.Endpoint.Close()
				<-w.Endpoint.Done()
				return err
			}
		}),
		local("goes although it says that it would block", []string{"A15"}, func(w *wrong) {
			w.shutdown = func(ctx context.Context) error {
				err := w.Endpoint.Shutdown(ctx)
				if errors.Is(err, eventtarget.ErrWouldBlock) {
					_ = w.Endpoint.Close()
				}
				return err
			}
		}),
		local("leaks a goroutine for each listener", []string{"A32"}, func(w *wrong) {
			stop := make(chan struct{})
			w.add = func(ctx context.Context, t topic, l listener) (*registration, error) {
				go func() { <-stop }()
				return w.Endpoint.Add(ctx, t, l)
			}
		}),
		local("keeps every topic", []string{"A33"}, func(w *wrong) {
			var mu sync.Mutex
			known := make(map[topic][]byte)
			w.add = func(ctx context.Context, t topic, l listener) (*registration, error) {
				mu.Lock()
				known[t] = make([]byte, 64)
				mu.Unlock()
				return w.Endpoint.Add(ctx, t, l)
			}
		}),
		{"opens anything", []string{"C19"}, conformance.Harness{
			Name: "opens anything", Timeout: hangs,
			Caps: conformance.Capabilities{Topology: conformance.Local, Echo: true},
			Open: func(context.Context, string) (eventtarget.Endpoint, error) {
				return inprocess.New[raw](nil), nil
			},
			URL: "any://thing",
		}},
	}
}
