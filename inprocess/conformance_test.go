package inprocess_test

import (
	"context"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

func harness(name string, codec eventtarget.Codec[eventtarget.Raw]) conformance.Harness {
	return conformance.Harness{
		Name: name,
		Caps: conformance.Capabilities{Topology: conformance.Local, Echo: true, Wire: codec != nil},
		New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
			return &conformance.Rig{Endpoints: []eventtarget.Endpoint{inprocess.New(&inprocess.Options[eventtarget.Raw]{
				Codec: codec, Limits: s.Limits(), OnFault: s.FaultsOf(0),
			})}}, nil
		},
	}
}

func TestConformancePlain(t *testing.T) { conformance.Run(t, harness("inprocess, plain", nil)) }

func TestConformanceCoded(t *testing.T) {
	conformance.Run(t, harness("inprocess, coded", eventtarget.JSON[eventtarget.Raw]()))
}

func BenchmarkPlain(b *testing.B) { conformance.RunBenchmarks(b, harness("inprocess, plain", nil)) }

func BenchmarkCoded(b *testing.B) {
	conformance.RunBenchmarks(b, harness("inprocess, coded", eventtarget.JSON[eventtarget.Raw]()))
}

func TestConformanceBus(t *testing.T) { conformance.Run(t, bus()) }
func BenchmarkBus(b *testing.B)       { conformance.RunBenchmarks(b, bus()) }

func bus() conformance.Harness {
	return conformance.Harness{
		Name: "inprocess, bus",
		Caps: conformance.Capabilities{Topology: conformance.Bus, Echo: true, Wire: true},
		New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
			var bus inprocess.Bus
			rig := &conformance.Rig{}
			for i := range s.Endpoints {
				rig.Endpoints = append(rig.Endpoints, bus.Join(&inprocess.MemberOptions{Limits: s.Limits(), OnFault: s.FaultsOf(i)}))
			}
			return rig, nil
		},
	}
}

// endpoint is a target whose listeners and events go through a view of it.
type endpoint struct {
	*inprocess.Target[eventtarget.Raw]
	view eventtarget.Target
}

func (e endpoint) Add(ctx context.Context, t eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	return e.view.Add(ctx, t, l)
}
func (e endpoint) Remove(r *eventtarget.Registration) bool { return e.view.Remove(r) }
func (e endpoint) Dispatch(ctx context.Context, ev eventtarget.Event[eventtarget.Raw]) error {
	return e.view.Dispatch(ctx, ev)
}

func TestConformanceTypedView(t *testing.T) {
	h := harness("Typed view", eventtarget.JSON[eventtarget.Raw]())
	make := h.New
	h.New = func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		rig, err := make(ctx, s)
		target := rig.Endpoints[0].(*inprocess.Target[eventtarget.Raw])
		rig.Endpoints[0] = endpoint{target, eventtarget.Typed(target, eventtarget.JSON[eventtarget.Raw]())}
		return rig, err
	}
	conformance.Run(t, h)
}
