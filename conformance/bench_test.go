package conformance_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// lossy is an endpoint that loses one event of its listeners.
type lossy struct {
	*inprocess.Target[eventtarget.Raw]
	at, n int
}

func (l *lossy) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	if l.n++; l.n == l.at {
		return nil
	}
	return l.Target.Dispatch(ctx, e)
}

// TestRunBenchmarks: they run as often as they are told, and one in which an event
// is lost fails, instead of waiting for it or stopping its clock too early.
func TestRunBenchmarks(t *testing.T) {
	benchtime := flag.Lookup("test.benchtime").Value
	before := benchtime.String()
	defer func() { _ = benchtime.Set(before) }()
	if err := benchtime.Set("2000x"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at   int
		fail bool
	}{
		"sound":                    {0, false},
		"loses the first event":    {1, true},
		"loses one in a window":    {1500, true},
		"loses the one at its end": {2001, true},
	} {
		failed, rigs := false, 0
		testing.Benchmark(func(b *testing.B) {
			b.Cleanup(func() { failed = failed || b.Failed() })
			conformance.RunBenchmarks(b, conformance.Harness{
				Name:    name,
				Caps:    conformance.Capabilities{Topology: conformance.Local, Echo: true},
				Timeout: 200 * time.Millisecond,
				New: func(context.Context, conformance.Setup) (*conformance.Rig, error) {
					rigs++
					return &conformance.Rig{Endpoints: []eventtarget.Endpoint{
						&lossy{Target: inprocess.New[eventtarget.Raw](nil), at: c.at},
					}}, nil
				},
			})
		})
		if failed != c.fail || rigs < 3 {
			t.Errorf("%s: failed is %v, with %d rigs", name, failed, rigs)
		}
	}
}
