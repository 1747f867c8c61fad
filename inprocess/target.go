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
	// Limits bounds a message; it takes effect with a Codec. A negative one is its default.
	Limits eventtarget.Limits
	// OnFault hears the faults; nil logs them.
	OnFault func(eventtarget.Fault)
}

// Target is a bus in memory. All methods may be called from any goroutine and
// from inside a listener.
type Target[T any] struct {
	endpoint[T]
	opts Options[T]
}

// New returns an open target; nil options are the defaults.
func New[T any](opts *Options[T]) *Target[T] {
	t := &Target[T]{}
	if opts != nil {
		t.opts = *opts
	}
	t.opts.Limits = t.opts.Limits.WithDefaults()
	t.init(t.opts.OnFault)
	return t
}

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
	return t.registry.Deliver(ctx, e)
}

// carry does to e what a wire would: what arrives shares nothing with what was
// sent. It returns nil without an error for an event that arrives undecodable.
func (t *Target[T]) carry(e eventtarget.Event[T]) (*eventtarget.Event[T], error) {
	payload, err := t.opts.Codec.Append(nil, e.Type, e.Payload)
	if err != nil {
		return nil, fail("dispatch", e.Topic(), err)
	}
	raw := eventtarget.Event[eventtarget.Raw]{Type: e.Type, ID: e.ID, Payload: payload, Headers: e.Headers}
	if err := wire.Check(&raw, t.opts.Limits); err != nil {
		return nil, fail("dispatch", e.Topic(), err)
	}
	m, err := wire.Decode(wire.Append(nil, &raw), t.opts.Limits)
	if err != nil {
		return nil, fail("dispatch", e.Topic(), fmt.Errorf("own message: %w", err))
	}
	v, err := t.opts.Codec.Decode(m.Type, m.Payload)
	if err != nil {
		t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Topic: e.Topic(), Count: 1, Err: err})
		return nil, nil //nolint:nilerr // a fault, as at the far end of a wire
	}
	return &eventtarget.Event[T]{Type: m.Type, ID: m.ID, Payload: v, Headers: m.Headers}, nil
}
