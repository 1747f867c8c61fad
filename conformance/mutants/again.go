package mutants

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// againMutants are hubs that go on from a store, and are wrong in that.
func againMutants() []Mutant {
	return []Mutant{
		again("forgets what its listeners had in hand", func(s *shelf) {
			s.keeps = func(r hub.Record) []hub.Record {
				r.Local = 0
				return []hub.Record{r}
			}
		}),
		again("never learns what was handled", func(s *shelf) {
			s.keeps = func(r hub.Record) []hub.Record {
				if r.Kind == hub.RecordHandled {
					return nil
				}
				return []hub.Record{r}
			}
		}),
		again("takes what was begun for handled", func(s *shelf) {
			s.keeps = func(r hub.Record) []hub.Record {
				return []hub.Record{r, {Kind: hub.RecordHandled, Local: r.Local, Seq: r.Seq}}[:min(2, 1+int(r.Local))]
			}
		}),
		again("does not say that it delivers again", func(s *shelf) {
			s.hears = func(l listener) listener {
				handle := l.Handle
				l.Handle = func(ctx context.Context, e event) {
					e.Redelivered = false
					handle(ctx, e)
				}
				return l
			}
		}),
	}
}

// again is a hub with one spoke that goes on from what is on a shelf.
func again(name string, spoil func(*shelf)) Mutant {
	m := sessions(name, 1, nil)
	m.Caught, m.Harness.Caps.AtLeastOnce = []string{"C31"}, true
	m.Harness.New = func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		x := &shelf{}
		spoil(x)
		return sessionRig(ctx, s, 1, nil, x)
	}
	return m
}

// shelf is a store that is wrong.
type shelf struct {
	keeps func(r hub.Record) []hub.Record // in its place; nil: as it is
	hears func(l listener) listener       // the same of listeners

	mu      sync.Mutex
	records []hub.Record
	dead    bool
}

func (s *shelf) Restore() iter.Seq2[hub.Record, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.records)
	return func(yield func(hub.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *shelf) Append(records []hub.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return errors.New("the process is dead")
	}
	for _, r := range records {
		if s.keeps == nil {
			s.records = append(s.records, r)
		} else {
			s.records = append(s.records, s.keeps(r)...)
		}
	}
	return nil
}

// crash is the death of the hub's process, and the begin of another one.
func (c *cutter) crash(o hub.Options, r *conformance.Rig, listen func(eventtarget.Endpoint) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := o.Store.(*shelf)
	before.mu.Lock()
	before.dead = true
	o.Store = &shelf{keeps: before.keeps, hears: before.hears, records: before.records}
	before.mu.Unlock()
	c.conn.Cut()
	_ = c.hub.Close()
	h, err := hub.New(o)
	if err != nil {
		return err
	}
	c.hub, c.options, r.Endpoints[0] = h, o, h
	w := &wrong{Endpoint: h, add: func(ctx context.Context, t topic, l listener) (*registration, error) {
		if before.hears != nil {
			l = before.hears(l)
		}
		return h.Add(ctx, t, l)
	}}
	return errors.Join(listen(w), h.Redeliver(context.Background()))
}
