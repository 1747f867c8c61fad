// Package metrics shows how a hub stands to Prometheus.
package metrics

import (
	"context"
	"net/http"
	"net/http/pprof"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/httpgate"
)

// maxTypes is how many types of topics have a series of their own: whoever dispatches
// chooses their names, and a series costs memory as long as the hub and Prometheus run.
const maxTypes = 100

// Metrics counts what happens on one hub. Its methods may be called from any goroutine.
type Metrics struct {
	events, faults *prometheus.CounterVec
	unauthorized   prometheus.Counter

	mu        sync.Mutex
	hub       *hub.Hub                // nil until Watch
	spokes    map[*hub.Spoke]struct{} // those that are connected
	departed  map[string]*totals      // what those that have left had, by transport
	connects  map[string]uint64       // by transport
	farewells map[farewell]uint64     // ends of spokes

	types struct {
		sync.RWMutex
		known map[string]prometheus.Counter // never more than maxTypes
		other prometheus.Counter
	}
}

// farewell is how a spoke ended.
type farewell struct{ transport, reason string }

// New returns metrics of a hub that is still to be made.
func New() *Metrics {
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventtarget_events_total", Help: "Events that the hub has heard, by the type of their topic. Those beyond the first 100 types are together, under none.",
		}, []string{"type"}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "eventtarget_faults_total", Help: "What went wrong and no call could return.",
		}, []string{"adapter", "kind"}),
		unauthorized: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "eventtarget_unauthorized_total", Help: "Requests and QUIC peers that were not let in for want of a good token or key.",
		}),
		spokes: make(map[*hub.Spoke]struct{}), departed: make(map[string]*totals), connects: make(map[string]uint64),
		farewells: make(map[farewell]uint64),
	}
	m.types.known = make(map[string]prometheus.Counter)
	m.types.other = m.events.WithLabelValues("") // which is no type
	return m
}

// Options returns the options of a hub with hooks that count, which call those that
// there were.
func (m *Metrics) Options(o hub.Options) hub.Options {
	connected, disconnected, fault := o.OnConnect, o.OnDisconnect, o.OnFault
	o.OnConnect = func(s *hub.Spoke) {
		m.mu.Lock()
		m.spokes[s] = struct{}{}
		m.connects[s.Transport()]++
		m.mu.Unlock()
		if connected != nil {
			connected(s)
		}
	}
	o.OnDisconnect = func(s *hub.Spoke, reason eventtarget.Reason) {
		m.mu.Lock()
		delete(m.spokes, s)
		m.of(s.Transport()).add(s.Stats())
		m.farewells[farewell{s.Transport(), reason.Code.String()}]++
		m.mu.Unlock()
		if disconnected != nil {
			disconnected(s, reason)
		}
	}
	if fault != nil { // else they are logged
		o.OnFault = m.Faults(fault)
	}
	return o
}

// Faults returns a hook that counts faults and tells them on: for the hub, and for what it
// is joined with.
func (m *Metrics) Faults(tell func(eventtarget.Fault)) func(eventtarget.Fault) {
	return func(f eventtarget.Fault) {
		m.faults.WithLabelValues(f.Adapter, f.Kind.String()).Inc()
		tell(f)
	}
}

// Unauthorized counts somebody who was not let in.
func (m *Metrics) Unauthorized() { m.unauthorized.Inc() }

// of returns what the spokes of a transport had that have left. Under mu.
func (m *Metrics) of(transport string) *totals {
	t := m.departed[transport]
	if t == nil {
		t = &totals{}
		m.departed[transport] = t
	}
	return t
}

// Watch counts the events of h, the hub that was made with the options.
func (m *Metrics) Watch(ctx context.Context, h *hub.Hub) error {
	m.mu.Lock()
	m.hub = h
	m.mu.Unlock()
	_, err := h.Add(ctx, eventtarget.T("*", "*"), eventtarget.Listener[eventtarget.Raw]{
		Inline: true, Handle: func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) { m.count(e.Type) },
	})
	return err
}

// count counts an event under its type, or under other when there are too many.
func (m *Metrics) count(eventType string) {
	m.types.RLock()
	c, known := m.types.known[eventType], len(m.types.known)
	m.types.RUnlock()
	if c == nil && known < maxTypes {
		c = m.enter(eventType)
	}
	if c == nil {
		c = m.types.other
	}
	c.Inc()
}

// enter gives a type a series of its own, or nil.
func (m *Metrics) enter(eventType string) prometheus.Counter {
	m.types.Lock()
	defer m.types.Unlock()
	if c := m.types.known[eventType]; c != nil || len(m.types.known) == maxTypes {
		return c
	}
	c := m.events.WithLabelValues(eventType)
	m.types.known[eventType] = c
	return c
}

// Handler serves /metrics, and /debug/pprof/ with profiles of the process. What it shows
// is for those who run the hub: on a loopback address it answers only those who ask for this
// machine by such a name, so that no page of a browser there reads it.
func (m *Metrics) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m, m.events, m.faults, m.unauthorized, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	return httpgate.OwnHost(mux)
}
