package mutants

import (
	"context"
	"slices"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// hubMutants are hubs and links that mistreat their spokes.
func hubMutants() []Mutant {
	return []Mutant{
		hubs("relays without saying so", []string{"C01", "C05"}, func(o *hub.Options) { o.Relay = true }, nil),
		hubs("echoes to the sender", []string{"C01", "C02"}, func(o *hub.Options) { o.Echo = true }, nil),
		hubs("skips the last spoke", []string{"C03"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			r.Endpoints[0] = &wrong{Endpoint: h, dispatch: func(ctx context.Context, e event) error {
				n := 0
				for s := range h.Spokes() {
					if n++; n > 40 {
						break
					}
					if err := s.Dispatch(ctx, e); err != nil {
						return err
					}
				}
				return nil
			}}
		}),
		hubs("ends its loop at a dead spoke", []string{"C20"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			var all []eventtarget.Peer // the first of them first
			for i := 1; i < len(r.Endpoints); i++ {
				all = append(all, r.Spoke(i))
			}
			r.Kill = func(i int) { _ = r.Endpoints[i].Close() }
			r.Endpoints[0] = &wrong{Endpoint: h, dispatch: func(ctx context.Context, e event) error {
				_ = slices.ContainsFunc(all, func(s eventtarget.Peer) bool { return s.Dispatch(ctx, e) != nil })
				return nil
			}}
		}),
		hubs("dispatches to all from another goroutine", []string{"C21"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			later := make(chan event, 1<<14)
			go func() {
				for e := range later {
					_ = h.Dispatch(context.Background(), e)
				}
			}()
			r.Close = func() { close(later) }
			r.Endpoints[0] = &wrong{Endpoint: h, dispatch: func(ctx context.Context, e event) error {
				later <- e
				return nil
			}}
		}),
		hubs("answers one spoke through all", []string{"C04", "C22"}, func(o *hub.Options) {}, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			spoke := r.Spoke
			r.Spoke = func(i int) eventtarget.Peer { return loud{spoke(i), h} }
			r.Endpoints[0] = &wrong{Endpoint: h, add: func(ctx context.Context, t topic, l listener) (*registration, error) {
				handle := l.Handle
				l.Handle = func(ctx context.Context, e event) {
					if e.Source != nil {
						e.Source = loud{e.Source, h}
					}
					handle(ctx, e)
				}
				return h.Add(ctx, t, l)
			}}
		}),
		hubs("forgets the source", []string{"C22", "C06"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			r.Endpoints[0] = &wrong{Endpoint: h, add: func(ctx context.Context, t topic, l listener) (*registration, error) {
				handle := l.Handle
				l.Handle = func(ctx context.Context, e event) {
					e.Source = nil
					handle(ctx, e)
				}
				return h.Add(ctx, t, l)
			}}
		}),
		joining("tells of joining twice", []string{"C06"}, func(s *conformance.Setup) {
			told := s.OnConnect
			s.OnConnect = func(p eventtarget.Peer) {
				told(p)
				told(p)
			}
		}),
		joining("hands out spokes that are not there yet", []string{"C07"}, func(s *conformance.Setup) {
			told := s.OnConnect
			s.OnConnect = func(p eventtarget.Peer) { told(deaf{p}) }
		}),
		hubs("keeps spokes that left", []string{"C08", "C09"}, nil, func(h *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			var all []eventtarget.Peer
			for s := range h.Spokes() {
				all = append(all, s)
			}
			r.Spokes = func() []eventtarget.Peer { return slices.Clone(all) }
		}),
		hubs("sends into nothing", []string{"C09"}, nil, func(_ *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
			spoke := r.Spoke
			r.Spoke = func(i int) eventtarget.Peer { return deaf{spoke(i)} }
		}),
	}
}

// loud is a peer whose dispatches reach everyone.
type loud struct {
	eventtarget.Peer
	hub *hub.Hub
}

func (l loud) Dispatch(ctx context.Context, e event) error { return l.hub.Dispatch(ctx, e) }

// deaf is a peer whose dispatches are lost.
type deaf struct{ eventtarget.Peer }

func (deaf) Dispatch(context.Context, event) error { return nil }

// joining is a hub that tells wrongly of its spokes.
func joining(name string, caught []string, change func(s *conformance.Setup)) Mutant {
	m := hubs(name, caught, nil, nil)
	m.Harness.New = func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		change(&s)
		return hubRig(ctx, s, nil, nil)
	}
	return m
}
