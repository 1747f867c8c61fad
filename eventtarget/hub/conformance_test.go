package hub_test

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

func TestConformance(t *testing.T) { run(t, "hub over memory", false, link.Options{}) }
func TestConformanceRelay(t *testing.T) {
	run(t, "hub, relay with echo", true, link.Options{Echo: true})
}
func TestConformanceSubscribe(t *testing.T) {
	run(t, "hub, subscribed", true, link.Options{Subscribe: true})
}
func TestConformanceSessions(t *testing.T) {
	run(t, "hub, sessions", true, link.Options{Adapter: "sessions"})
}
func TestConformanceSessionsSubscribe(t *testing.T) {
	run(t, "hub, sessions, subscribed", false, link.Options{Adapter: "sessions", Subscribe: true})
}
func TestConformanceStore(t *testing.T) {
	run(t, "hub, sessions in a store", true, link.Options{Adapter: "store", Subscribe: true})
}
func TestConformanceRing(t *testing.T) {
	run(t, "three hubs in a ring of bridges", true, link.Options{Adapter: "ring", Subscribe: true, Echo: true})
}

func run(t *testing.T, name string, relay bool, o link.Options, on ...between) {
	bus, limit := append(on, nil)[0], conformance.Watchdog
	if o.Adapter == "store" || bus != nil { // each event of a spoke waits for the log
		limit *= 3
	}
	caps := conformance.Capabilities{Topology: conformance.Hub, Wire: true, Source: true, Retains: true, Replaces: true, Reconnects: true, Resumes: o.Adapter != "", AtLeastOnce: o.Adapter == "store", Relay: relay, Backplane: bus != nil || o.Adapter == "ring", Echo: o.Echo}
	conformance.Run(t, conformance.Harness{Name: name, Timeout: limit, Caps: caps, Skip: cannotHold(bus, o.Adapter), New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		r := &rig{caps: caps, link: o, ends: map[int]*link.PipeConn{}, severed: map[int]bool{}, dials: map[int]int{}}
		if bus != nil {
			r.way, r.log = bus()
		}
		return r.start(ctx, s)
	}})
}

func (r *rig) start(ctx context.Context, s conformance.Setup) (_ *conformance.Rig, err error) {
	r.options = hub.Options{
		Sweepers: 2, Bridged: r.link.Adapter == "ring", Store: r.store(), SessionTimeout: s.Session, Limits: s.Limits(), LogEvents: s.Outgoing, SpokeEvents: s.Outgoing, Relay: r.caps.Relay, Echo: r.caps.Echo, Retain: s.Retain, Duplicates: r.replaces(s.Replace), Heartbeat: s.Heartbeat, WriteTimeout: s.WriteTimeout, OnFault: s.FaultsOf(0),
		OnConnect: func(sp *hub.Spoke) { s.OnConnect(sp) }, OnDisconnect: func(sp *hub.Spoke, reason eventtarget.Reason) { s.OnDisconnect(sp, reason) },
	}
	if r.hub, err = hub.New(r.options); err != nil {
		return nil, err
	}
	err = r.join(ctx, r.options)
	out := &conformance.Rig{
		Endpoints: []eventtarget.Endpoint{r.hub}, Spokes: r.spokes, Stall: func(i int) { r.ends[i].Stall() }, Spoke: r.spoke,
		Kill: func(i int) { r.sever(i, true) }, Sever: func(i int) { r.sever(i, true) }, Heal: func(i int) { r.sever(i, false) }, Foreign: r.foreign, Session: r.session, Close: r.close,
	}
	out.Crash = func(_ int, listen func(eventtarget.Endpoint) error) error { return r.crash(out, listen) }
	for i := 1; err == nil && i < s.Endpoints; i++ {
		l, failed := link.New(link.Options{
			Limits: s.Limits(), LogEvents: s.Outgoing, Echo: r.link.Echo, Subscribe: r.link.Subscribe, OnFault: s.FaultsOf(i), Backoff: link.Backoff{Max: cmp.Or(s.Backoff, 5*time.Millisecond)},
			Dial: func(context.Context) (link.Conn, error) {
				return r.dial(strconv.Itoa(i), func(c *link.PipeConn) { r.ends[i] = c })
			},
		})
		out.Endpoints = append(out.Endpoints, l)
		err = errors.Join(failed, l.Ready(ctx))
	}
	return out, err
}
