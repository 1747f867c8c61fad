package mutants

import (
	"context"
	"strconv"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
)

type (
	raw      = eventtarget.Raw
	event    = eventtarget.Event[eventtarget.Raw]
	listener = eventtarget.Listener[eventtarget.Raw]
	topic    = eventtarget.Topic

	registration = eventtarget.Registration
)

// Mutant is a target with one fault.
type Mutant struct {
	Name    string
	Caught  []string // the laws that must not hold
	Harness conformance.Harness
}

// All returns every mutant.
func All() []Mutant {
	var all []Mutant
	for _, group := range [][]Mutant{dispatchMutants(), listenerMutants(), lifeMutants(), payloadMutants(), naiveMutants(), hubMutants(), spokeMutants(), slowMutants(), busyMutants(), downMutants(), sessionMutants(), againMutants(), foreignMutants()} {
		all = append(all, group...)
	}
	return all
}

// hangs is how long a law waits for what a mutant never does.
const hangs = 3 * time.Second

// wrong is an endpoint of which some methods are replaced.
type wrong struct {
	eventtarget.Endpoint
	add      func(ctx context.Context, t topic, l listener) (*eventtarget.Registration, error)
	remove   func(r *eventtarget.Registration) bool
	dispatch func(ctx context.Context, e event) error
	close    func() error
	shutdown func(ctx context.Context) error
}

func (w *wrong) Add(ctx context.Context, t topic, l listener) (*eventtarget.Registration, error) {
	if w.add != nil {
		return w.add(ctx, t, l)
	}
	return w.Endpoint.Add(ctx, t, l)
}

func (w *wrong) Remove(r *eventtarget.Registration) bool {
	if w.remove != nil {
		return w.remove(r)
	}
	return w.Endpoint.Remove(r)
}

func (w *wrong) Dispatch(ctx context.Context, e event) error {
	if w.dispatch != nil {
		return w.dispatch(ctx, e)
	}
	return w.Endpoint.Dispatch(ctx, e)
}

func (w *wrong) Close() error {
	if w.close != nil {
		return w.close()
	}
	return w.Endpoint.Close()
}

func (w *wrong) Shutdown(ctx context.Context) error {
	if w.shutdown != nil {
		return w.shutdown(ctx)
	}
	return w.Endpoint.Shutdown(ctx)
}

// ReportFault keeps views over a wrong target working.
func (w *wrong) ReportFault(f eventtarget.Fault) {
	w.Endpoint.(eventtarget.FaultReporter).ReportFault(f)
}

// local is a mutant of a target in memory.
func local(name string, caught []string, spoil func(w *wrong)) Mutant {
	return Mutant{name, caught, conformance.Harness{
		Name: name, Timeout: hangs,
		Caps: conformance.Capabilities{Topology: conformance.Local, Echo: true, Wire: true},
		New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
			w := &wrong{Endpoint: inprocess.New(&inprocess.Options[raw]{
				Codec: eventtarget.JSON[raw](), Limits: s.Limits(), OnFault: s.FaultsOf(0),
			})}
			spoil(w)
			return &conformance.Rig{Endpoints: []eventtarget.Endpoint{w}}, nil
		},
	}}
}

// hubs is a mutant of a hub over memory, declared as caps says.
func hubs(name string, caught []string, options func(*hub.Options), spoil func(h *hub.Hub, s conformance.Setup, r *conformance.Rig)) Mutant {
	caps := conformance.Capabilities{Topology: conformance.Hub, Wire: true, Source: true}
	return Mutant{name, caught, conformance.Harness{
		Name: name, Timeout: hangs, Caps: caps,
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			return hubRig(ctx, s, options, spoil)
		},
	}}
}

func hubRig(ctx context.Context, s conformance.Setup, options func(*hub.Options), spoil func(h *hub.Hub, s conformance.Setup, r *conformance.Rig)) (*conformance.Rig, error) {
	o := hub.Options{
		Limits: s.Limits(), LogEvents: s.Outgoing, SpokeEvents: s.Outgoing, Retain: s.Retain, Heartbeat: s.Heartbeat, WriteTimeout: s.WriteTimeout, OnFault: s.FaultsOf(0),
		OnConnect:    func(sp *hub.Spoke) { s.OnConnect(sp) },
		OnDisconnect: func(sp *hub.Spoke, reason eventtarget.Reason) { s.OnDisconnect(sp, reason) },
	}
	if options != nil {
		options(&o)
	}
	h, err := hub.New(o)
	if err != nil {
		return nil, err
	}
	ends := make(map[int]*link.PipeConn)
	r := &conformance.Rig{
		Endpoints: []eventtarget.Endpoint{h},
		Stall:     func(i int) { ends[i].Stall() },
		Kill:      func(i int) { ends[i].Cut() },
		Spokes: func() (all []eventtarget.Peer) {
			for sp := range h.Spokes() {
				all = append(all, sp)
			}
			return all
		},
		Spoke: func(i int) eventtarget.Peer {
			sp, _ := h.Spoke(strconv.Itoa(i))
			return sp
		},
		Foreign: func() (link.Conn, error) {
			near, far := link.Pipe()
			_, err := h.Attach(far, hub.Meta{})
			return near, err
		},
	}
	for i := 1; i < s.Endpoints; i++ {
		near, far := link.Pipe()
		ends[i] = near
		if _, err := h.Attach(far, hub.Meta{ID: strconv.Itoa(i)}); err != nil {
			return nil, err
		}
		l, err := link.New(link.Options{Conn: near, Limits: s.Limits(), OnFault: s.FaultsOf(i)})
		if err != nil {
			return nil, err
		}
		if err := l.Ready(ctx); err != nil {
			return nil, err
		}
		r.Endpoints = append(r.Endpoints, l)
	}
	if spoil != nil {
		spoil(h, s, r)
	}
	return r, nil
}
