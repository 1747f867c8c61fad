package otel_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	api "go.opentelemetry.io/otel/trace"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/otel"
	"github.com/eventtarget-go/toolkit/wsserver"
)

type raw = eventtarget.Raw

// traces returns options and the spans that have ended.
func traces(t *testing.T) (*otel.Options, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	return &otel.Options{TracerProvider: provider}, spans
}

// await returns the spans by name when there are as many as are wanted.
func await(t *testing.T, spans *tracetest.InMemoryExporter, want int) map[string]tracetest.SpanStub {
	t.Helper()
	late := time.After(30 * time.Second)
	for tick := time.NewTicker(time.Millisecond); ; {
		if ended := spans.GetSpans(); len(ended) >= want {
			found := map[string]tracetest.SpanStub{}
			for _, s := range ended {
				found[s.Name] = s
			}
			if len(ended) != want || len(found) != want {
				t.Fatalf("%d spans, want %d with different names: %v", len(ended), want, found)
			}
			return found
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%d spans, want %d", len(spans.GetSpans()), want)
		}
	}
}

// TestAcross: over a network, a delivery is part of the trace of its dispatch, and what
// its listener dispatches too.
func TestAcross(t *testing.T) {
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{Relay: true}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer func() { h.Close(); <-h.Done() }()
	o, spans := traces(t)
	var ends []*otel.Target[raw]
	for range 2 {
		target, err := open.Open(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"?echo=false")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { target.Close(); <-target.Done() }()
		if err := target.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, otel.Trace[raw](target, o))
	}
	in := make(chan api.SpanContext, 2)
	add := func(to *otel.Target[raw], eventType string, then func(context.Context)) {
		t.Helper()
		if _, err := to.Add(t.Context(), eventtarget.T(eventType, "*"), eventtarget.Func(func(ctx context.Context, _ eventtarget.Event[raw]) {
			in <- api.SpanContextFromContext(ctx)
			then(ctx)
		})); err != nil {
			t.Fatal(err)
		}
	}
	add(ends[0], "answer", func(context.Context) {})
	add(ends[1], "question", func(ctx context.Context) {
		if err := ends[1].Dispatch(ctx, eventtarget.Event[raw]{Type: "answer", ID: "1"}); err != nil {
			t.Error(err)
		}
	})
	if err := ends[0].Dispatch(t.Context(), eventtarget.Event[raw]{Type: "question", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	found := await(t, spans, 4)
	chain := []string{"dispatch question", "deliver question", "dispatch answer", "deliver answer"}
	for i, name := range chain {
		s := found[name]
		want := api.SpanContext{}
		if i > 0 {
			want = found[chain[i-1]].SpanContext
		}
		if s.Parent.SpanID() != want.SpanID() || s.SpanContext.TraceID() != found[chain[0]].SpanContext.TraceID() || s.Parent.IsRemote() != (i%2 == 1) {
			t.Errorf("the parent of %q is %v, remote %v, want %v", name, s.Parent.SpanID(), s.Parent.IsRemote(), want.SpanID())
		}
		if kind := []api.SpanKind{api.SpanKindProducer, api.SpanKindConsumer}[i%2]; s.SpanKind != kind {
			t.Errorf("%q is of kind %v", name, s.SpanKind)
		}
	}
	for _, name := range []string{"deliver question", "deliver answer"} {
		if got := <-in; got.SpanID() != found[name].SpanContext.SpanID() {
			t.Errorf("the listener's context has the span %v, want %q", got.SpanID(), name)
		}
	}
}

// TestHeaders: the caller's headers stay as they are, and an event that has no room for
// more is dispatched without a trace.
func TestHeaders(t *testing.T) {
	o, _ := traces(t)
	target := inprocess.New(&inprocess.Options[raw]{Codec: eventtarget.JSON[raw]()})
	defer target.Close()
	traced := otel.Trace(target, o)
	var heard map[string]string
	if _, err := traced.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[raw]{
		Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) { heard = e.Headers },
	}); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]int{0: 1, 1: 2, 15: 16, 16: 16} {
		headers := map[string]string{}
		for i := range n {
			headers[fmt.Sprint("h", i)] = "x"
		}
		before := maps.Clone(headers)
		if err := traced.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t", Headers: headers}); err != nil {
			t.Errorf("with %d headers: %v", n, err)
		}
		if len(heard) != want || !maps.Equal(headers, before) || (heard["traceparent"] != "") != (n < 16) {
			t.Errorf("with %d headers: %q was heard, and the caller has %q", n, heard, headers)
		}
	}
}

// TestRoots: what comes without a trace begins one, whatever the span in which the
// listener was added.
func TestRoots(t *testing.T) {
	o, spans := traces(t)
	target := inprocess.New(&inprocess.Options[string]{})
	defer target.Close()
	ctx, setup := o.TracerProvider.Tracer("test").Start(t.Context(), "setup")
	if _, err := otel.Trace(target, o).Add(ctx, eventtarget.T("t", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[string]) {})); err != nil {
		t.Fatal(err)
	}
	setup.End()
	if err := target.Dispatch(ctx, eventtarget.Event[string]{Type: "t"}); err != nil {
		t.Fatal(err)
	}
	s := await(t, spans, 2)["deliver t"]
	if s.Parent.IsValid() || s.SpanContext.TraceID() == setup.SpanContext().TraceID() {
		t.Errorf("the delivery is part of %v", s.Parent)
	}
}

// TestBaggage: a listener is given the baggage of what it hears, and none of where it was
// added.
func TestBaggage(t *testing.T) {
	o, _ := traces(t)
	o.Propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	target := inprocess.New(&inprocess.Options[string]{})
	defer target.Close()
	traced := otel.Trace(target, o)
	with := func(user string) context.Context {
		member, err := baggage.NewMember("user", user)
		if err != nil {
			t.Fatal(err)
		}
		all, err := baggage.New(member)
		if err != nil {
			t.Fatal(err)
		}
		return baggage.ContextWithBaggage(t.Context(), all)
	}
	var heard string
	if _, err := traced.Add(with("setup"), eventtarget.T("t", "*"), eventtarget.Listener[string]{
		Inline: true, Handle: func(ctx context.Context, _ eventtarget.Event[string]) { heard = baggage.FromContext(ctx).String() },
	}); err != nil {
		t.Fatal(err)
	}
	for want, ctx := range map[string]context.Context{"user=ann": with("ann"), "": t.Context()} {
		heard = "nothing"
		if err := traced.Dispatch(ctx, eventtarget.Event[string]{Type: "t"}); err != nil {
			t.Fatal(err)
		}
		if heard != want {
			t.Errorf("the baggage is %q, want %q", heard, want)
		}
	}
}

// TestErrors: what goes wrong stands in the spans, and is told as without them.
func TestErrors(t *testing.T) {
	o, spans := traces(t)
	faults := make(chan eventtarget.Fault, 1)
	target := inprocess.New(&inprocess.Options[raw]{OnFault: func(f eventtarget.Fault) { faults <- f }})
	defer target.Close()
	traced := otel.Trace(target, o)
	if _, err := traced.Add(t.Context(), eventtarget.T("t", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) { panic("no") })); err != nil {
		t.Fatal(err)
	}
	if err := traced.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t"}); err != nil {
		t.Fatal(err)
	}
	if f := <-faults; f.Kind != eventtarget.FaultPanic || !strings.Contains(string(f.Stack), "TestErrors") {
		t.Errorf("the fault is %v, with the stack\n%s", f, f.Stack)
	}
	if err := traced.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "a:b"}); !errors.Is(err, eventtarget.ErrInvalidTopic) {
		t.Errorf("Dispatch: %v", err)
	}
	found := await(t, spans, 3)
	if s := found["deliver t"].Status; s.Code != codes.Error {
		t.Errorf("the delivery stands as %v", s)
	}
	if s := found["dispatch a:b"]; s.Status.Code != codes.Error || len(s.Events) != 1 {
		t.Errorf("the dispatch stands as %v with %v", s.Status, s.Events)
	}
	if s := found["dispatch t"].Status; s.Code != codes.Unset {
		t.Errorf("the dispatch that was accepted stands as %v", s)
	}
}
