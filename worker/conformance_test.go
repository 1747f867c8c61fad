//go:build unix

package worker

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// TestConformance asks both ends over real pipes, in one process: what is the
// process's own is in worker_test.go.
func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Harness{
		Name: "worker", Caps: conformance.Capabilities{Topology: conformance.Link, Wire: true, Source: true},
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			theirIn, ourOut, err := os.Pipe()
			ourIn, theirOut, failed := os.Pipe()
			if err = errors.Join(err, failed); err != nil {
				return nil, err
			}
			limit := wire.MaxFrame(s.Limits())
			child := &inbound{pipes: newPipes(theirIn, theirOut, limit, time.Minute)}
			ends := []link.Conn{newPipes(ourIn, ourOut, limit, time.Minute), child}
			cut := func(int) {
				for _, p := range ends {
					_ = p.Close(eventtarget.Reason{Code: eventtarget.CodeLost})
				}
			}
			rig := &conformance.Rig{Kill: cut, Sever: cut}
			for i, conn := range ends {
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
