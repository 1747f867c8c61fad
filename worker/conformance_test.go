//go:build unix

package worker

import (
	"context"
	"errors"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Harness{
		Name: "worker", Caps: conformance.Capabilities{Topology: conformance.Link, Wire: true, Source: true},
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			parent, child, err := both(s.Limits())
			cut := func(int) {
				_ = parent.Close(eventtarget.Reason{Code: eventtarget.CodeLost})
				_ = child.Close(eventtarget.Reason{Code: eventtarget.CodeLost})
			}
			rig := &conformance.Rig{Kill: cut, Sever: cut}
			for i, conn := range []link.Conn{parent, child} {
				l, failed := link.New(link.Options{
					Adapter: adapter, Conn: conn, Framing: appendHeader, Limits: s.Limits(), OnFault: s.FaultsOf(i),
					LogEvents: s.Outgoing, Overflow: s.Overflow, Setup: func(l *link.Link) { child.link = l }, // the last one
				})
				rig.Endpoints = append(rig.Endpoints, l)
				err = errors.Join(err, failed)
			}
			return rig, err
		},
	})
}

func TestConformancePool(t *testing.T)  { runPool(t, "worker pool", false) }
func TestConformanceRelay(t *testing.T) { runPool(t, "worker pool, relay", true) }

func runPool(t *testing.T, name string, relay bool) {
	caps := conformance.Capabilities{Topology: conformance.Hub, Wire: true, Source: true, Retains: true, Relay: relay}
	skip := map[string]string{
		"C25": "a pipe that ends carries no reason",
		"C30": "a pipe that ends carries no reason",
	}
	conformance.Run(t, conformance.Harness{Name: name, Caps: caps, Skip: skip, New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
		r, err := newPoolRig(s, relay)
		for i := 1; err == nil && i < s.Endpoints; i++ {
			err = r.add(i)
		}
		return &conformance.Rig{Endpoints: r.endpoints, Spokes: r.all, Spoke: r.spoke, Kill: r.kill, Sever: r.kill, Foreign: r.foreign}, err
	}})
}
