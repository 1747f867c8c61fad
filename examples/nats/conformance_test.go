package natstarget_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"example.com/natstarget"
	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

func TestConformance(t *testing.T) { conformance.Run(t, harness(t, "nats", link.Options{Echo: true})) }
func TestConformanceNoEcho(t *testing.T) {
	conformance.Run(t, harness(t, "nats, no echo", link.Options{}))
}

func harness(t testing.TB, name string, o link.Options) conformance.Harness {
	url := serve(t)
	var mux eventtarget.Mux
	mux.Handle("nats", natstarget.Open)
	var buses atomic.Int32 // each rig has a bus of its own
	return conformance.Harness{
		Name: name, Open: mux.Open, URL: url,
		Caps: conformance.Capabilities{Topology: conformance.Bus, Echo: o.Echo, Wire: true, Reconnects: true},
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			prefix := fmt.Sprint("bus", buses.Add(1))
			var wires []*wire
			rig := &conformance.Rig{
				Sever: func(i int) { wires[i].cut() }, Heal: func(i int) { wires[i].heal() },
				Close: func() {
					for _, w := range wires {
						w.close()
					}
				},
				Foreign: func() (link.Conn, error) { return newForeign(url, prefix) },
			}
			for i := range s.Endpoints {
				w := newWire(t, url)
				wires = append(wires, w)
				o.Limits, o.OnFault, o.Backoff.Max = s.Limits(), s.FaultsOf(i), 20*time.Millisecond
				e, err := natstarget.New(w.url(), natstarget.Options{Prefix: prefix, Options: o})
				if err != nil {
					return nil, err
				}
				rig.Endpoints = append(rig.Endpoints, e)
				if err := e.Ready(ctx); err != nil {
					return nil, err
				}
			}
			return rig, nil
		},
	}
}

// BenchmarkTarget waits where the way out is full: an echo is heard before that.
func BenchmarkTarget(b *testing.B) {
	conformance.RunBenchmarks(b, harness(b, "nats", link.Options{Echo: true, Overflow: eventtarget.Block}))
}
