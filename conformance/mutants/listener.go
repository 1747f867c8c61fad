package mutants

import (
	"context"
	"slices"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// byTopic remembers the registrations of each topic, in order.
type byTopic struct {
	mu   sync.Mutex
	regs map[topic][]*registration
}

func (b *byTopic) watch(w *wrong) {
	b.regs = make(map[topic][]*registration)
	w.add = func(ctx context.Context, t topic, l listener) (*registration, error) {
		r, err := w.Endpoint.Add(ctx, t, l)
		if err == nil {
			b.mu.Lock()
			b.regs[t] = append(b.regs[t], r)
			b.mu.Unlock()
		}
		return r, err
	}
}

func (b *byTopic) of(t topic) []*registration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*registration(nil), b.regs[t]...)
}

// changing wraps every listener that is added.
func changing(w *wrong, change func(l listener) listener) {
	w.add = func(ctx context.Context, t topic, l listener) (*registration, error) {
		if l.Handle != nil {
			l = change(l)
		}
		return w.Endpoint.Add(ctx, t, l)
	}
}

// listenerMutants add and remove listeners wrongly.
func listenerMutants() []Mutant {
	return []Mutant{
		local("is live one event late", []string{"A02"}, func(w *wrong) {
			changing(w, func(l listener) listener {
				handle, first := l.Handle, true
				var mu sync.Mutex
				l.Handle = func(ctx context.Context, e event) {
					mu.Lock()
					skip := first
					first = false
					mu.Unlock()
					if !skip {
						handle(ctx, e)
					}
				}
				return l
			})
		}),
		local("replays the last event", []string{"A03"}, func(w *wrong) {
			var mu sync.Mutex
			last := make(map[topic]event)
			w.dispatch = func(ctx context.Context, e event) error {
				mu.Lock()
				last[e.Topic()] = e
				mu.Unlock()
				return w.Endpoint.Dispatch(ctx, e)
			}
			w.add = func(ctx context.Context, t topic, l listener) (*registration, error) {
				r, err := w.Endpoint.Add(ctx, t, l)
				mu.Lock()
				e, found := last[t]
				mu.Unlock()
				if err == nil && found {
					l.Handle(ctx, e)
				}
				return r, err
			}
		}),
		local("removes all of a topic", []string{"A06", "A07"}, func(w *wrong) {
			var b byTopic
			b.watch(w)
			w.remove = func(r *registration) bool {
				if r == nil {
					return false
				}
				removed := false
				for _, other := range b.of(r.Topic()) {
					removed = w.Endpoint.Remove(other) || removed
				}
				return removed
			}
		}),
		local("removes the first", []string{"A07"}, func(w *wrong) {
			var b byTopic
			b.watch(w)
			w.remove = func(r *registration) bool {
				if r == nil {
					return false
				}
				return slices.ContainsFunc(b.of(r.Topic()), w.Endpoint.Remove)
			}
		}),
		local("removes twice", []string{"A08"}, func(w *wrong) {
			w.remove = func(r *registration) bool { return w.Endpoint.Remove(r) || r != nil && r.Topic().Type != "" }
		}),
		local("removes what is not its own", []string{"A09"}, func(w *wrong) {
			w.remove = func(r *registration) bool { return w.Endpoint.Remove(r) || r == nil }
		}),
		local("removes one event late", []string{"A10"}, func(w *wrong) {
			var mu sync.Mutex
			var pending []*registration
			w.remove = func(r *registration) bool {
				mu.Lock()
				defer mu.Unlock()
				pending = append(pending, r)
				return r != nil
			}
			w.dispatch = func(ctx context.Context, e event) error {
				mu.Lock()
				late := pending
				pending = nil
				mu.Unlock()
				err := w.Endpoint.Dispatch(ctx, e)
				for _, r := range late {
					w.Endpoint.Remove(r)
				}
				return err
			}
		}),
		local("waits in Remove", []string{"A11"}, func(w *wrong) {
			w.remove = func(r *registration) bool {
				removed := w.Endpoint.Remove(r)
				if removed {
					<-r.Done()
				}
				return removed
			}
		}),
		local("does not remove", []string{"A27", "A10"}, func(w *wrong) {
			w.remove = func(r *registration) bool { return r != nil }
		}),
		local("serves Once twice", []string{"A16"}, func(w *wrong) {
			changing(w, func(l listener) listener {
				l.Once = false
				return l
			})
		}),
		local("drops the wrong end", []string{"D04"}, func(w *wrong) {
			changing(w, func(l listener) listener {
				switch {
				case l.Inline:
				case l.Overflow == eventtarget.DropNewest:
					l.Overflow = eventtarget.DropOldest
				case l.Overflow == eventtarget.DropOldest:
					l.Overflow = eventtarget.DropNewest
				}
				return l
			})
		}),
		local("drops where it should wait", []string{"D05", "A26"}, func(w *wrong) {
			changing(w, func(l listener) listener {
				if l.Overflow == eventtarget.Block {
					l.Overflow = eventtarget.DropNewest
				}
				return l
			})
		}),
		local("has small queues", []string{"D06", "A17"}, func(w *wrong) {
			changing(w, func(l listener) listener {
				if !l.Inline && l.Queue == 0 {
					l.Queue = 64
				}
				return l
			})
		}),
	}
}
