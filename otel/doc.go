// Package otel lets events carry their traces, for OpenTelemetry. It is a module of its
// own, so that only who asks for it depends on anything.
//
// # Usage
//
//	traced := otel.Trace(target, nil)
//	_, err := traced.Add(ctx, topic, listener)
//	err = traced.Dispatch(ctx, event)
//
// The target goes on as it is, and is closed as before: a view of it, made with Typed for
// example, may be traced, too, but what is traced twice has twice as many spans.
//
// # Delivery
//
// As the target: every event passes, whether it is traced or not. A Dispatch is a span of
// kind producer, called "dispatch TYPE", whose context the event carries in the headers
// of W3C, traceparent and tracestate. Each delivery to a listener is a span of kind
// consumer, "deliver TYPE", whose parent is that dispatch, wherever in the world it was;
// the listener's context carries it. A delivery of an event without these headers begins
// a trace of its own.
//
// Hubs and bridges pass headers on, so they need not know of this. The Source of an event
// that is delivered is not traced: trace it to answer with a span.
//
// # Ordering
//
// As the target.
//
// # Slow listeners
//
// As the target. A span of a delivery lasts as long as its listener: how long the event
// has waited lies between its beginning and that of the dispatch.
//
// # Errors and faults
//
// An error of Dispatch stands in its span, and a panic of a listener as an error in that
// of the delivery. The target reports it as before.
//
// # Closing
//
// A traced target owns nothing. The tracer provider is the application's to shut down.
//
// # Limits
//
// Those of the target. An event that is over them by the headers of its trace only goes
// without.
package otel
