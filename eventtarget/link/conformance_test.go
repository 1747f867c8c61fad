package link_test

import (
	"context"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Harness{
		Name: "link over memory",
		Caps: conformance.Capabilities{Topology: conformance.Link, Wire: true, Source: true},
		New:  func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) { return rig(ctx, s, false) },
	})
}

func TestConformanceEcho(t *testing.T) {
	conformance.Run(t, conformance.Harness{
		Name: "link over memory, with echo",
		Caps: conformance.Capabilities{Topology: conformance.Link, Wire: true, Source: true, Echo: true},
		New:  func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) { return rig(ctx, s, true) },
	})
}

func rig(ctx context.Context, s conformance.Setup, echo bool) (*conformance.Rig, error) {
	a, b := link.Pipe()
	ends := []*link.PipeConn{a, b}
	r := &conformance.Rig{
		Sever:  func(i int) { ends[i].Cut() },
		Stall:  func(i int) { ends[i].Stall() },
		Resume: func(i int) { ends[i].Resume() },
	}
	for i, conn := range ends {
		l, err := link.New(link.Options{
			Conn: conn, Limits: s.Limits(), Echo: echo, LogEvents: s.Outgoing, Overflow: s.Overflow,
			Heartbeat: s.Heartbeat, OnFault: s.FaultsOf(i),
		})
		if err != nil {
			return nil, err
		}
		r.Endpoints = append(r.Endpoints, l)
	}
	for _, e := range r.Endpoints {
		if err := e.Ready(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}
