package mutants

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
)

// dispatchMutants do the wrong thing with an event on its way.
func dispatchMutants() []Mutant {
	return []Mutant{
		local("loses every 100th", []string{"A01", "A17", "D06"}, func(w *wrong) {
			var n atomic.Int64
			w.dispatch = func(ctx context.Context, e event) error {
				if n.Add(1)%100 == 0 {
					return nil
				}
				return w.Endpoint.Dispatch(ctx, e)
			}
		}),
		local("repeats every 100th", []string{"A01"}, func(w *wrong) {
			var n atomic.Int64
			w.dispatch = func(ctx context.Context, e event) error {
				if n.Add(1)%100 == 0 {
					_ = w.Endpoint.Dispatch(ctx, e)
				}
				return w.Endpoint.Dispatch(ctx, e)
			}
		}),
		local("swaps neighbours", []string{"A17"}, func(w *wrong) {
			var mu sync.Mutex
			var n int
			var held *event
			w.dispatch = func(ctx context.Context, e event) error {
				mu.Lock()
				n++
				late := held
				held = nil
				if n%500 == 0 {
					e.Payload = append(raw(nil), e.Payload...)
					held = &e
				}
				hold := held != nil
				mu.Unlock()
				if hold {
					return nil
				}
				err := w.Endpoint.Dispatch(ctx, e)
				if late != nil {
					_ = w.Endpoint.Dispatch(ctx, *late)
				}
				return err
			}
		}),
		local("matches prefixes", []string{"A04"}, func(w *wrong) {
			w.dispatch = func(ctx context.Context, e event) error {
				if err := w.Endpoint.Dispatch(ctx, e); err != nil || len(e.ID) != 2 {
					return err
				}
				e.ID = e.ID[:1]
				return w.Endpoint.Dispatch(ctx, e)
			}
		}),
		local("joins type and id", []string{"A05", "B11"}, func(w *wrong) {
			split := func(t topic) topic {
				eventType, rest, found := strings.Cut(t.Type, ":")
				if !found {
					return t
				}
				return topic{Type: eventType, ID: rest + ":" + t.ID}
			}
			add := w.Endpoint.Add
			w.add = func(ctx context.Context, t topic, l listener) (*registration, error) {
				if strings.ContainsAny(t.Type, "\r\n") {
					t.Type = strings.TrimSpace(t.Type)
				}
				return add(ctx, split(t), l)
			}
			w.dispatch = func(ctx context.Context, e event) error {
				t := split(e.Topic())
				e.Type, e.ID = t.Type, t.ID
				return w.Endpoint.Dispatch(ctx, e)
			}
		}),
		local("never looks at the context", []string{"A25", "A26"}, func(w *wrong) {
			w.dispatch = func(ctx context.Context, e event) error {
				return w.Endpoint.Dispatch(context.WithoutCancel(ctx), e)
			}
		}),
		local("swallows errors", []string{"A29", "A34"}, func(w *wrong) {
			w.dispatch = func(ctx context.Context, e event) error {
				_ = w.Endpoint.Dispatch(ctx, e)
				return nil
			}
		}),
		local("loses one of thousands", []string{"D06"}, func(w *wrong) {
			var n atomic.Int64
			w.dispatch = func(ctx context.Context, e event) error {
				if n.Add(1) == 5000 {
					return nil
				}
				return w.Endpoint.Dispatch(ctx, e)
			}
		}),
	}
}
