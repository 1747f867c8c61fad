package inprocess

import (
	"context"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

const adapter = "inprocess"

// endpoint is what targets in memory have in common: all but Dispatch.
type endpoint[T any] struct {
	registry *eventtarget.Registry[T]
}

func (t *endpoint[T]) init(onFault func(eventtarget.Fault)) {
	t.registry = eventtarget.NewRegistry[T](eventtarget.RegistryOptions{Adapter: adapter, OnFault: onFault})
}

// Add makes l hear the events on topic; see [eventtarget.TypedEventTarget].
func (t *endpoint[T]) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[T]) (*eventtarget.Registration, error) {
	return t.registry.Add(ctx, topic, l)
}

// Remove ends a registration; see [eventtarget.TypedEventTarget].
func (t *endpoint[T]) Remove(r *eventtarget.Registration) bool { return t.registry.Remove(r) }

// Close discards what still waits for listeners and never waits. It returns nil.
func (t *endpoint[T]) Close() error {
	t.registry.Close()
	return nil
}

// Shutdown refuses new events, lets every listener finish what waits for it and
// waits for that, until ctx ends; see [eventtarget.Endpoint].
func (t *endpoint[T]) Shutdown(ctx context.Context) error { return t.registry.Shutdown(ctx) }

// Done is closed when the target is closed and no listener runs any more.
func (t *endpoint[T]) Done() <-chan struct{} { return t.registry.Done() }

// State is up until the target is closed.
func (t *endpoint[T]) State() eventtarget.State {
	if t.registry.Closed() {
		return eventtarget.StateClosed
	}
	return eventtarget.StateUp
}

// Ready returns at once: nil, or [eventtarget.ErrClosed].
func (t *endpoint[T]) Ready(context.Context) error {
	if t.registry.Closed() {
		return fail("ready", eventtarget.Topic{}, eventtarget.ErrClosed)
	}
	return nil
}

// ReportFault hands f to the OnFault hook.
func (t *endpoint[T]) ReportFault(f eventtarget.Fault) { t.registry.ReportFault(f) }

func fail(op string, topic eventtarget.Topic, err error) error {
	return &eventtarget.Error{Op: op, Adapter: adapter, Topic: topic, Err: err}
}
