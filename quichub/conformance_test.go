package quichub_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// idle is after how long an end gives the other up: most of what the run takes, but on a
// busy machine an end that is there may be silent for a second.
const idle = 2 * time.Second

func TestConformance(t *testing.T)      { run(t, "quichub with quicspoke", false, false) }
func TestConformanceRelay(t *testing.T) { run(t, "quichub, relay, plain", true, true) }

func run(t *testing.T, name string, relay, plain bool) {
	caps := conformance.Capabilities{Topology: conformance.Hub, Wire: true, Source: true, Identity: true, Retains: true, Replaces: true, Reconnects: true, Resumes: !plain, Relay: relay}
	conformance.Run(t, conformance.Harness{Name: name, Caps: caps, New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		joined := make(chan *hub.Spoke, 64)
		h, err := quichub.Listen("127.0.0.1:0", &quichub.Options{ListenerOptions: quichub.ListenerOptions{Identity: forSpokes(), IdleTimeout: idle, KeepAlive: idle / 5}, Options: hub.Options{
			SessionTimeout: s.Session, Limits: s.Limits(), LogEvents: s.Outgoing, SpokeEvents: s.Outgoing, Relay: relay, Retain: s.Retain, Duplicates: duplicates(s.Replace), Heartbeat: s.Heartbeat, WriteTimeout: s.WriteTimeout, OnFault: s.FaultsOf(0),
			OnConnect: func(sp *hub.Spoke) {
				defer func() {
					select {
					case joined <- sp:
					default: // one that is back
					}
				}()
				s.OnConnect(sp)
			},
			OnDisconnect: func(sp *hub.Spoke, r eventtarget.Reason) { s.OnDisconnect(sp, r) },
		}})
		if err != nil {
			return nil, err
		}
		relays, spokes := make([]*faultnet.Relay, s.Endpoints), make([]*hub.Spoke, s.Endpoints)
		rig := &conformance.Rig{
			Endpoints: []eventtarget.Endpoint{h},
			Kill:      func(i int) { relays[i].Stall() }, Sever: func(i int) { relays[i].Stall() },
			Heal: func(i int) { relays[i].Heal() }, Stall: func(i int) { relays[i].Stall() },
			Spokes:  func() []eventtarget.Peer { return peers(h) },
			Spoke:   func(i int) eventtarget.Peer { return spokes[i] },
			Session: func() (link.Conn, error) { return dialSession(ctx, h.Addr().String()) },
			Foreign: func() (link.Conn, error) {
				c, err := dialForeign(ctx, h.Addr().String())
				if err == nil {
					<-joined
				}
				return c, err
			},
		}
		for i := 1; err == nil && i < s.Endpoints; i++ {
			relays[i], err = faultnet.NewRelay(h.Addr().String())
			c, e := quicspoke.New(relays[i].Addr, &quicspoke.Options{
				Plain: plain, Identity: forHub(), IdleTimeout: idle, Options: link.Options{
					Limits: s.Limits(), LogEvents: s.Outgoing, OnFault: s.FaultsOf(i), Heartbeat: time.Duration(max(10, s.Endpoints)) * 20 * time.Millisecond, Backoff: link.Backoff{Max: cmp.Or(s.Backoff, 10*time.Millisecond)},
				}})
			rig.Endpoints = append(rig.Endpoints, c)
			if err = errors.Join(err, e, c.Ready(ctx)); err == nil {
				spokes[i] = <-joined
			}
		}
		rig.Close = func() { closeAll(rig.Endpoints, relays) }
		return rig, err
	}})
}
