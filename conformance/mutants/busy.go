package mutants

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// hasty is a hub that gives those who come back no time.
type hasty struct{ *hub.Hub }

// Restart asks everyone to come back after the same moment.
func (h hasty) Restart(ctx context.Context, _ time.Duration) error {
	return h.Hub.Restart(ctx, time.Millisecond)
}

// busyMutants are hubs that are wrong while much happens at once.
func busyMutants() []Mutant {
	forgetful := hubs("retains nothing", []string{"C28"}, func(o *hub.Options) { o.Retain = nil }, nil)
	forgetful.Harness.Caps.Retains = true
	return []Mutant{
		forgetful,
		hubs("hangs up at Shutdown", []string{"C30"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			r.Endpoints[0] = &wrong{Endpoint: h, shutdown: func(context.Context) error { return h.Close() }}
		}),
		hubs("asks all to come back at once", []string{"C30"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			r.Endpoints[0] = hasty{h}
		}),
		hubs("loses an event when a spoke leaves", []string{"D09"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			var there atomic.Int64
			r.Endpoints[0] = &wrong{Endpoint: h, dispatch: func(ctx context.Context, e event) error {
				if n := int64(h.Len()); n < there.Swap(n) {
					return nil
				}
				return h.Dispatch(ctx, e)
			}}
		}),
		hubs("reads one spoke when it has nothing else to do", []string{"D11"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			r.Endpoints[0] = &wrong{Endpoint: h, add: func(ctx context.Context, t topic, l listener) (*registration, error) {
				handle := l.Handle
				l.Handle = func(ctx context.Context, e event) {
					if e.Source != nil && e.Source.ID() == "2" {
						<-time.After(time.Millisecond)
					}
					handle(ctx, e)
				}
				return h.Add(ctx, t, l)
			}}
		}),
	}
}

// downMutants are links that are wrong about the time without a connection.
func downMutants() []Mutant {
	return []Mutant{
		down("tells of no gap after a cut", []string{"C11"}, func(s *conformance.Setup) {
			told := s.OnFault
			s.OnFault = func(endpoint int, f eventtarget.Fault) {
				if f.Kind != eventtarget.FaultGap {
					told(endpoint, f)
				}
			}
		}, nil),
		down("tells of a gap twice", []string{"C11"}, func(s *conformance.Setup) {
			told := s.OnFault
			s.OnFault = func(endpoint int, f eventtarget.Fault) {
				told(endpoint, f)
				if f.Kind == eventtarget.FaultGap {
					told(endpoint, f)
				}
			}
		}, nil),
		down("accepts what it loses while it is down", []string{"C14"}, nil, func(l eventtarget.Endpoint) eventtarget.Endpoint {
			return &wrong{Endpoint: l, dispatch: func(ctx context.Context, e event) error {
				if l.State() != eventtarget.StateUp && len(e.Payload) == 2 {
					return nil // those with two digits are some
				}
				return l.Dispatch(ctx, e)
			}}
		}),
		down("connects again at once", []string{"C13"}, func(s *conformance.Setup) { s.Backoff = 1 }, nil),
		down("has no bound while it is down", []string{"C14"}, func(s *conformance.Setup) { s.Outgoing = 0 }, nil),
	}
}

// down is a hub with one link, in a session, that is wrong in one way.
func down(name string, caught []string, change func(s *conformance.Setup), spoil func(l eventtarget.Endpoint) eventtarget.Endpoint) Mutant {
	m := sessions(name, 1, nil)
	m.Caught = caught
	make := m.Harness.New
	m.Harness.New = func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		if change != nil {
			change(&s)
		}
		r, err := make(ctx, s)
		if err == nil && spoil != nil {
			r.Endpoints[1] = spoil(r.Endpoints[1])
		}
		return r, err
	}
	return m
}
