package eventtarget

import (
	"context"
	"sync/atomic"
)

// Registration is a listener that was added. It is opaque, comparable and
// belongs to the target that returned it: two Adds are two registrations, of
// the same listener and topic too. It survives reconnects.
type Registration struct {
	topic   Topic
	owner   any // the *listener[T] that this is part of
	done    chan struct{}
	removed atomic.Bool
	dropped atomic.Uint64
	release atomic.Pointer[func() bool] // AddFor's: called once done is closed
}

// Topic returns the topic that the listener was added on.
func (r *Registration) Topic() Topic { return r.topic }

// Done is closed when the registration has ended, by Remove, Once or Close, and
// none of the listener's code will run again (law A10).
func (r *Registration) Done() <-chan struct{} { return r.done }

// Dropped returns how many events its full queue has cost the listener.
func (r *Registration) Dropped() uint64 { return r.dropped.Load() }

// Caller says where a call comes from, as far as its context tells.
type Caller uint8

const (
	// NotListener: the context is not one that a listener was given.
	NotListener Caller = iota
	// QueuedListener: the call is made inside a queued listener.
	QueuedListener
	// InlineListener: the call is made inside an Inline listener, so it may
	// stand on the goroutine that reads a connection.
	InlineListener
)

type callerKey struct{}

// CallerOf tells whether ctx is, or comes from, the context that a listener was
// given. For implementers: a call that would have to wait for a listener, or for
// the goroutine that runs one, returns [ErrWouldBlock] when it is made inside one.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
