package otel

import (
	"context"
	"errors"
	"maps"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

const scope = "github.com/eventtarget-go/toolkit/otel"

// Options configures [Trace]. A zero field means its default.
type Options struct {
	// TracerProvider makes the spans. Default: the global one of OpenTelemetry when Trace
	// is called, or the first that is set later.
	TracerProvider trace.TracerProvider
	// Propagator writes and reads the headers. Default: [propagation.TraceContext].
	Propagator propagation.TextMapPropagator
}

// Target is a target whose dispatches and deliveries are traced. Its methods may be
// called from any goroutine.
type Target[T any] struct {
	target     eventtarget.TypedEventTarget[T]
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

// Trace returns a view of a target that traces what is dispatched and what is heard
// through it. nil options are the defaults.
func Trace[T any](target eventtarget.TypedEventTarget[T], opts *Options) *Target[T] {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.Propagator == nil {
		o.Propagator = propagation.TraceContext{}
	}
	return &Target[T]{target: target, tracer: o.TracerProvider.Tracer(scope), propagator: o.Propagator}
}

// Dispatch is the target's, with a span around it.
func (t *Target[T]) Dispatch(ctx context.Context, e eventtarget.Event[T]) error {
	ctx, span := t.tracer.Start(ctx, "dispatch "+e.Type, trace.WithSpanKind(trace.SpanKindProducer), about("send", e.Topic()))
	defer span.End()
	given := e.Headers
	e.Headers = t.inject(ctx, given)
	err := t.target.Dispatch(ctx, e)
	if errors.Is(err, eventtarget.ErrTooLarge) || errors.Is(err, eventtarget.ErrLimit) {
		e.Headers = given // nothing was sent: without a trace it may fit
		err = t.target.Dispatch(ctx, e)
	}
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// Add is the target's, with a span around each call of the listener.
func (t *Target[T]) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[T]) (*eventtarget.Registration, error) {
	if handle := l.Handle; handle != nil {
		l.Handle = func(ctx context.Context, e eventtarget.Event[T]) { t.deliver(ctx, e, handle) }
	}
	return t.target.Add(ctx, topic, l)
}

// Remove is the target's.
func (t *Target[T]) Remove(r *eventtarget.Registration) bool { return t.target.Remove(r) }

// ReportFault is the target's, if it has one.
func (t *Target[T]) ReportFault(f eventtarget.Fault) {
	if r, ok := t.target.(eventtarget.FaultReporter); ok {
		r.ReportFault(f)
	}
}

func (t *Target[T]) deliver(ctx context.Context, e eventtarget.Event[T], handle func(context.Context, eventtarget.Event[T])) {
	// The listener's context has the values of Add's: a span there is not the parent of
	// what is heard for ever after, nor is its baggage that of it.
	ctx = baggage.ContextWithoutBaggage(trace.ContextWithSpanContext(ctx, trace.SpanContext{}))
	ctx = t.propagator.Extract(ctx, propagation.MapCarrier(e.Headers))
	ctx, span := t.tracer.Start(ctx, "deliver "+e.Type, trace.WithSpanKind(trace.SpanKindConsumer), about("process", e.Topic()))
	returned := false
	defer func() {
		if !returned { // it panicked, which is the target's to report, or ended its goroutine
			span.SetStatus(codes.Error, "the listener did not return")
		}
		span.End()
	}()
	handle(ctx, e)
	returned = true
}

// inject returns headers with those of the trace; it changes none.
func (t *Target[T]) inject(ctx context.Context, headers map[string]string) map[string]string {
	all := make(map[string]string, len(headers)+2)
	maps.Copy(all, headers)
	t.propagator.Inject(ctx, propagation.MapCarrier(all))
	if len(all) == 0 {
		return nil // nobody traces
	}
	return all
}

// about is what a span says of the event.
func about(operation string, topic eventtarget.Topic) trace.SpanStartEventOption {
	return trace.WithAttributes(
		attribute.String("messaging.system", "eventtarget"),
		attribute.String("messaging.operation.type", operation),
		attribute.String("messaging.destination.name", topic.Type),
		attribute.String("eventtarget.id", topic.ID),
	)
}
