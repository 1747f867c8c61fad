package otel_test

import (
	"context"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/otel"
)

// endpoint is a member of a bus that is used through a traced view.
type endpoint struct {
	*inprocess.Member
	traced *otel.Target[raw]
}

func (e endpoint) Add(ctx context.Context, t eventtarget.Topic, l eventtarget.Listener[raw]) (*eventtarget.Registration, error) {
	return e.traced.Add(ctx, t, l)
}
func (e endpoint) Remove(r *eventtarget.Registration) bool { return e.traced.Remove(r) }
func (e endpoint) Dispatch(ctx context.Context, ev eventtarget.Event[raw]) error {
	return e.traced.Dispatch(ctx, ev)
}

// TestConformance: a traced target keeps the laws.
func TestConformance(t *testing.T) {
	o, _ := traces(t)
	conformance.Run(t, conformance.Harness{
		Name: "traced", Caps: conformance.Capabilities{Topology: conformance.Bus, Echo: true, Wire: true},
		Skip: map[string]string{"B13": "an event carries the headers of its trace, too"},
		New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
			var bus inprocess.Bus
			rig := &conformance.Rig{}
			for i := range s.Endpoints {
				m := bus.Join(&inprocess.MemberOptions{Limits: s.Limits(), OnFault: s.FaultsOf(i)})
				rig.Endpoints = append(rig.Endpoints, endpoint{m, otel.Trace[raw](m, o)})
			}
			return rig, nil
		},
	})
}
