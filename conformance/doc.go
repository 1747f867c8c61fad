// Package conformance is what every event target promises, as code: an ordered
// list of laws that our adapters pass, and that a third party's can be held
// against.
//
// # Usage
//
// An adapter writes a [Harness], which makes rigs of n connected endpoints, and
// calls [Run] in a test:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Harness{
//			Name: "myadapter",
//			Caps: conformance.Capabilities{Topology: conformance.Bus, Wire: true},
//			New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) { … },
//		})
//	}
//
// [Check] does the same without a testing.T and returns a [Report]. With the same
// harness [RunBenchmarks] measures an adapter, beside the others.
//
// # The model
//
// One model covers every topology, the reach matrix: Rig.Reaches(i, j) says
// whether what endpoint i dispatches must be heard at endpoint j. Every law is
// written once against it: each j that must hear hears exactly once, every other
// hears nothing. Echo is the cell (i, i). In a hub endpoint 0 is the hub.
//
// Everything else of a rig is an optional hook. A law whose hook is missing is
// skipped by name and counted: a run that skipped is not the same as a run that
// passed, and the report says so. Run it with -race.
//
// Absence is never shown by waiting a while: a sentinel follows on the same
// ordered path, and what has not come before it does not come. A law that hangs is
// ended by a watchdog with the stacks of all goroutines, and sooner where go test would
// end first.
//
// Package mutants has targets that are deliberately wrong, each of which the laws
// must catch.
package conformance
