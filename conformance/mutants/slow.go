package mutants

import (
	"bytes"
	"context"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// slowMutants are hubs that are wrong about spokes that do not read.
func slowMutants() []Mutant {
	gap := []byte(`{"type":"__gap"`)
	behind, n := false, 0
	return []Mutant{
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
