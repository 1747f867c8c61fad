package hub_test

import (
	"context"
	"iter"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// delay is what something has that may take until some time. Where a hub waits for it, it may hold a
// mutex: see walk.move.
type delay struct{ until atomic.Int64 } // Unix nanoseconds

func (d *delay) set(by time.Duration)     { d.until.Store(time.Now().Add(by).UnixNano()) }
func (d *delay) remaining() time.Duration { return time.Until(time.Unix(0, d.until.Load())) }

func (d *delay) wait(ctx context.Context) {
	by := d.remaining()
	if by <= 0 { // a timer that is due at once is too much for the race detector, in a bubble
		return
	}
	select {
	case <-time.After(by):
	case <-ctx.Done():
	}
}

// lateLog is a way to a log that may be late, in both directions.
type lateLog struct {
	*sharedStore
	delay
}

func (s *lateLog) Append(records []hub.Record) error {
	s.wait(context.Background())
	defer s.wait(context.Background())
	return s.sharedStore.Append(records)
}

func (s *lateLog) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		for r, err := range s.sharedStore.Follow(ctx) {
			if s.wait(ctx); !yield(r, err) {
				return
			}
		}
	}
}

// lateBus is a member of a bus that may be late in taking what it is given, and what is asked of it.
type lateBus struct {
	eventtarget.Target
	delay
}

func (b *lateBus) Dispatch(ctx context.Context, e eventtarget.Event[raw]) error {
	b.wait(ctx)
	return b.Target.Dispatch(ctx, e)
}

func (b *lateBus) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[raw]) (*eventtarget.Registration, error) {
	b.wait(ctx)
	return b.Target.Add(ctx, topic, l)
}
