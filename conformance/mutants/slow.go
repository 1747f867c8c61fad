package mutants

import (
	"bytes"
	"context"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// unheard is a connection whose signs of life do not count.
type unheard struct{ *link.PipeConn }

// Heard never changes.
func (unheard) Heard() uint64 { return 0 }

// slowMutants are hubs that are wrong about spokes that do not read.
func slowMutants() []Mutant {
	gap := []byte(`{"type":"__gap"`)
	behind, n := false, 0
	impatient := hubs("takes what is busy for dead", []string{"D07"}, nil, nil)
	impatient.Harness.New = func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
		h, err := hub.New(hub.Options{Heartbeat: s.Heartbeat, OnFault: s.FaultsOf(0)})
		if err != nil {
			return nil, err
		}
		near, far := link.Pipe()
		if _, err := h.Attach(unheard{far}, hub.Meta{}); err != nil {
			return nil, err
		}
		l, err := link.New(link.Options{Conn: near, OnFault: s.FaultsOf(1)})
		return &conformance.Rig{Endpoints: []eventtarget.Endpoint{h, l}}, err
	}
	return []Mutant{
		impatient,
		hubs("waits for every spoke", []string{"D02"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			r.Endpoints[0] = &wrong{Endpoint: h, dispatch: func(ctx context.Context, e event) error {
				err := h.Dispatch(ctx, e)
				ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				_, _ = h.Flush(ctx)
				return err
			}}
		}),
		hubs("keeps everything for a slow spoke", []string{"D03", "D04"}, func(o *hub.Options) {
			o.LogEvents, o.LogBytes = 1<<20, 1<<30
		}, nil),
		between("tells of no gap", []string{"D04"}, lenient{out: func(msg []byte) []byte {
			if bytes.HasPrefix(msg, gap) {
				return nil
			}
			return msg
		}}),
		between("stays lossy once it was", []string{"D08"}, lenient{out: func(msg []byte) []byte {
			behind = behind || bytes.HasPrefix(msg, gap)
			if n++; behind && n%50 == 0 {
				return nil
			}
			return msg
		}}),
	}
}
