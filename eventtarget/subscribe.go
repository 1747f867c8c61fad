package eventtarget

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// AddFor adds a listener that is removed when ctx ends (law A27).
func AddFor[T any](ctx context.Context, t TypedEventTarget[T], topic Topic, l Listener[T]) (*Registration, error) {
	r, err := t.Add(ctx, topic, l)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { t.Remove(r) })
	r.release.Store(&stop)
	select {
	case <-r.done: // ended before it could see release
		stop()
	default:
	}
	return r, nil
}

// Subscription collects events from the moment that [Subscribe] returns, to be
// ranged over later. It may be used from several goroutines; each event is
// yielded once.
type Subscription[T any] struct {
	target TypedEventTarget[T]
	reg    *Registration
	limit  int
	most   int // bytes of payloads; 0: any number

	mu     sync.Mutex
	buffer []collected[T]
	size   int    // of its payloads
	lost   uint64 // since the last one in buffer
	wake   chan struct{}
}

type collected[T any] struct {
	event Event[T]
	lost  uint64 // just before it
}

// Subscribe adds a listener that collects the events on topic. Up to queue of
// them wait (0 means as [Listener] says); one that finds no room is lost, and All
// says so where it is missing.
func Subscribe[T any](ctx context.Context, t TypedEventTarget[T], topic Topic, queue int) (*Subscription[T], error) {
	if queue < 0 {
		return nil, &Error{Op: "subscribe", Topic: topic, Err: fmt.Errorf("negative queue (%d)", queue)}
	}
	s := &Subscription[T]{target: t, limit: queue, wake: make(chan struct{}, 1)}
	if queue == 0 {
		s.limit, s.most = DefaultQueue, DefaultQueueBytes
	}
	reg, err := t.Add(ctx, topic, Listener[T]{Handle: s.collect, Inline: true})
	if err != nil {
		return nil, err
	}
	s.reg = reg
	return s, nil
}

func (s *Subscription[T]) collect(_ context.Context, e Event[T]) {
	size := payloadSize(&e)
	s.mu.Lock()
	if n := len(s.buffer); n >= s.limit || n > 0 && s.most > 0 && s.size+size > s.most {
		s.lost++
	} else {
		s.buffer = append(s.buffer, collected[T]{event: e, lost: s.lost})
		s.size += size
		s.lost = 0
	}
	s.mu.Unlock()
	s.nudge()
}

func (s *Subscription[T]) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Registration returns the registration that the subscription rests on.
func (s *Subscription[T]) Registration() *Registration { return s.reg }

// Close ends the subscription. What was collected can still be ranged over.
func (s *Subscription[T]) Close() { s.target.Remove(s.reg) }

// All yields what was collected and then what comes, in order. Where events were
// lost it yields an error that is [ErrOverflow] with their number, and goes on.
// It ends after yielding ctx's cause when ctx ends, or [ErrClosed] when the
// subscription or its target was closed. Leaving the loop does not close the
// subscription.
func (s *Subscription[T]) All(ctx context.Context) iter.Seq2[Event[T], error] {
	return func(yield func(Event[T], error) bool) {
		for {
			next, err := s.next(ctx)
			if err != nil {
				yield(Event[T]{}, s.wrap(err))
				return
			}
			if next.lost > 0 {
				err = s.wrap(fmt.Errorf("%w: %d events lost", ErrOverflow, next.lost))
			}
			if !yield(next.event, err) {
				return
			}
		}
	}
}

// next waits for an event, or for how many were lost before it: that comes first, and alone.
func (s *Subscription[T]) next(ctx context.Context) (collected[T], error) {
	for {
		if ctx.Err() != nil {
			return collected[T]{}, context.Cause(ctx)
		}
		ended := false
		select {
		case <-s.reg.Done(): // nothing is collected any more
			ended = true
		default:
		}
		s.mu.Lock()
		if len(s.buffer) > 0 {
			first := s.buffer[0]
			if first.lost > 0 {
				s.buffer[0].lost = 0
				s.mu.Unlock()
				s.nudge()
				return collected[T]{lost: first.lost}, nil
			}
			s.buffer[0] = collected[T]{}
			s.buffer = s.buffer[1:]
			s.size -= payloadSize(&first.event)
			s.mu.Unlock()
			s.nudge() // another goroutine may be waiting too
			return first, nil
		}
		if ended {
			last := collected[T]{lost: s.lost}
			s.lost = 0
			s.mu.Unlock()
			if last.lost > 0 {
				return last, nil
			}
			return last, ErrClosed
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-s.reg.Done():
		case <-ctx.Done():
		}
	}
}

func (s *Subscription[T]) wrap(err error) error {
	return &Error{Op: "subscribe", Topic: s.reg.Topic(), Err: err}
}
