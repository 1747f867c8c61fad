package inprocess

import (
	"context"
	"fmt"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Options configures a [Target]. The zero value is ready to use.
type Options[T any] struct {
	// Codec makes the target treat payloads as a wire would. nil carries the Go
	// value itself.
	Codec eventtarget.Codec[T]
	// Limits bounds a message; it takes effect with a Codec.
	Limits eventtarget.Limits
	// NoEcho keeps a target from hearing its own dispatches. A bus without an
	// echo carries nothing: it exists because every adapter has it, and serves
	// those who test what their program does without one.
	NoEcho bool
	// OnFault hears the faults; nil logs them.
	OnFault func(eventtarget.Fault)
}

// Target is a bus in memory. All methods may be called from any goroutine and
// from inside a listener.
type Target[T any] struct {
	registry *eventtarget.Registry[T]
	opts     Options[T]
}

const adapter = "inprocess"

// New returns an open target; nil options are the defaults.
func New[T any](opts *Options[T]) *Target[T] {
	t := &Target[T]{}
	if opts != nil {
		t.opts = *opts
	}
	t.opts.Limits = t.opts.Limits.WithDefaults()
	t.registry = eventtarget.NewRegistry[T](eventtarget.RegistryOptions{Adapter: adapter, OnFault: t.opts.OnFault})
	return t
}

// Add makes l hear the events on topic; see [eventtarget.TypedEventTarget].
func (t *Target[T]) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[T]) (*eventtarget.Registration, error) {
	return t.registry.Add(ctx, topic, l)
}

// Remove ends a registration; see [eventtarget.TypedEventTarget].
func (t *Target[T]) Remove(r *eventtarget.Registration) bool { return t.registry.Remove(r) }

// Dispatch brings e to the listeners on its topic. When it returns, Inline
// listeners have been called and queued ones have the event in their queue.
func (t *Target[T]) Dispatch(ctx context.Context, e eventtarget.Event[T]) error {
	e.Source, e.Redelivered = nil, false
	if t.opts.Codec != nil {
		if err := t.registry.CheckDispatch(ctx, e.Topic()); err != nil {
			return err
		}
		carried, err := t.carry(e)
		if err != nil || carried == nil {
			return err
		}
		e = *carried
	}
	if t.opts.NoEcho {
		return t.registry.CheckDispatch(ctx, e.Topic())
	}
	return t.registry.Deliver(ctx, e)
}

// carry does to e what a wire would: what arrives shares nothing with what was
// sent. It returns nil without an error for an event that arrives undecodable.
func (t *Target[T]) carry(e eventtarget.Event[T]) (*eventtarget.Event[T], error) {
	payload, err := t.opts.Codec.Append(nil, e.Type, e.Payload)
	if err != nil {
		return nil, t.fail(e.Topic(), err)
	}
	raw := eventtarget.Event[eventtarget.Raw]{Type: e.Type, ID: e.ID, Payload: payload, Headers: e.Headers}
	if err := wire.Check(&raw, t.opts.Limits); err != nil {
		return nil, t.fail(e.Topic(), err)
	}
	m, err := wire.Decode(wire.Append(nil, &raw), t.opts.Limits)
	if err != nil {
		return nil, t.fail(e.Topic(), fmt.Errorf("own message: %w", err))
	}
	v, err := t.opts.Codec.Decode(m.Type, m.Payload)
	if err != nil {
		t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Topic: e.Topic(), Count: 1, Err: err})
		return nil, nil
	}
	return &eventtarget.Event[T]{Type: m.Type, ID: m.ID, Payload: v, Headers: m.Headers}, nil
}

func (t *Target[T]) fail(topic eventtarget.Topic, err error) error {
	return &eventtarget.Error{Op: "dispatch", Adapter: adapter, Topic: topic, Err: err}
}

// Close discards what still waits for listeners and never waits. It returns nil.
func (t *Target[T]) Close() error {
	t.registry.Close()
	return nil
}

// Shutdown refuses new events, lets every listener finish what waits for it and
// waits for that, until ctx ends; see [eventtarget.Endpoint].
func (t *Target[T]) Shutdown(ctx context.Context) error { return t.registry.Shutdown(ctx) }

// Done is closed when the target is closed and no listener runs any more.
func (t *Target[T]) Done() <-chan struct{} { return t.registry.Done() }

// State is up until the target is closed.
func (t *Target[T]) State() eventtarget.State {
	if t.registry.Closed() {
		return eventtarget.StateClosed
	}
	return eventtarget.StateUp
}

// Ready returns at once: nil, or [eventtarget.ErrClosed].
func (t *Target[T]) Ready(context.Context) error {
	if t.registry.Closed() {
		return &eventtarget.Error{Op: "ready", Adapter: adapter, Err: eventtarget.ErrClosed}
	}
	return nil
}

// ReportFault hands f to the OnFault hook.
func (t *Target[T]) ReportFault(f eventtarget.Fault) { t.registry.ReportFault(f) }
