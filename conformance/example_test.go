package conformance_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// An adapter's conformance_test.go: one harness for the laws and the benchmarks.
func ExampleRun() {
	harness := conformance.Harness{
		Name: "inprocess, bus",
		Caps: conformance.Capabilities{Topology: conformance.Bus, Echo: true, Wire: true},
		New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
			var bus inprocess.Bus
			rig := &conformance.Rig{}
			for i := range s.Endpoints {
				member := bus.Join(&inprocess.MemberOptions{Limits: s.Limits(), OnFault: s.FaultsOf(i)})
				rig.Endpoints = append(rig.Endpoints, eventtarget.Endpoint(member))
			}
			return rig, nil
		},
	}
	_ = func(t *testing.T) { conformance.Run(t, harness) }           // TestConformance
	_ = func(b *testing.B) { conformance.RunBenchmarks(b, harness) } // BenchmarkConformance
}

// A program checks an adapter without go test: all of the laws, or those that it names.
func ExampleCheck() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	report := conformance.Check(ctx, conformance.Harness{
		Name: "inprocess, alone",
		Caps: conformance.Capabilities{Topology: conformance.Local, Echo: true},
		New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
			target := inprocess.New(&inprocess.Options[eventtarget.Raw]{OnFault: s.FaultsOf(0)})
			return &conformance.Rig{Endpoints: []eventtarget.Endpoint{target}}, nil
		},
	}, "A01", "A02", "A03")
	fmt.Println(report.Summary())
	// Output:
	// inprocess, alone: 3 laws hold, 0 do not, 0 were skipped
}
