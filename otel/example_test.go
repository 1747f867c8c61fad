package otel_test

import (
	"context"
	"fmt"
	"log"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/otel"
)

// A target is traced by a view of it. An application has a provider that exports; here
// the spans stay in memory.
func ExampleTrace() {
	ctx := context.Background()
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	target := inprocess.New[eventtarget.Raw](nil)
	traced := otel.Trace(target, &otel.Options{TracerProvider: provider})
	_, err := traced.Add(ctx, eventtarget.T("order.placed", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[eventtarget.Raw]) {}))
	if err != nil {
		log.Fatal(err)
	}
	if err := traced.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "order.placed", ID: "42"}); err != nil {
		log.Fatal(err)
	}
	if err := target.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	for _, s := range spans.GetSpans() {
		if s.Parent.IsValid() {
			fmt.Println(s.Name, "is part of a trace that came with the event")
		}
	}
	// Output:
	// deliver order.placed is part of a trace that came with the event
}
