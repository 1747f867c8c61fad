package conformance_test

import (
	"context"
	"testing"

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
