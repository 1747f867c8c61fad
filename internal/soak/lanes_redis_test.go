//go:build linux

package soak_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// keeps are the options of a server that has stored what it has accepted.
var keeps = []string{"--appendonly", "yes", "--appendfsync", "always"}

// startRedis returns a server with what is done to it and to the way there.
func startRedis(t *testing.T, durable bool) (way *faultnet.Proxy, faults []fault) {
	t.Helper()
	var args []string
	if durable {
		args = keeps
	}
	s := redistest.Start(t, args...)
	way = proxy(t, s.Addr)
	return way, append(overTCP(way), fault{"Redis killed", s.Kill, s.Restart})
}

// overRedis is a bus with some members, who all hear each other.
func overRedis(t *testing.T, durable bool) *lane {
	l := &lane{name: map[bool]string{false: "Redis, Pub/Sub", true: "Redis, stream"}[durable], lossy: !durable}
	way, faults := startRedis(t, durable)
	l.faults = faults
	var all []*redis.Target
	for n := range 3 {
		e := l.ear(fmt.Sprint("member ", n))
		m := endpoint[*redis.Target](t)(redis.New("redis://"+way.Addr, &redis.Options{Durable: durable, OnFault: e.fault}))
		l.flow(e.name, m, topic)
		all = append(all, m)
	}
	for n, e := range l.ears {
		e.hears(t, all[n], topic, l.flows...)
	}
	l.ready = func(ctx context.Context) error {
		for _, m := range all {
			if err := m.Ready(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	return l
}

// overJoined is two hubs that are one: a spoke of each talks to the other one's spokes.
func overJoined(t *testing.T, durable bool) *lane {
	l := &lane{name: map[bool]string{false: "joined hubs, a bus", true: "joined hubs, a log"}[durable], lossy: !durable}
	way, faults := startRedis(t, durable)
	var clients []*wsclient.Client
	for n := range 2 {
		o := &wsserver.Options{Options: hub.Options{Relay: true, OnFault: l.tell(fmt.Sprint("hub ", n)), Heartbeat: heartbeat, LogBytes: logBytes}}
		if durable {
			store, err := redis.OpenStore(t.Context(), "redis://"+way.Addr, &redis.Options{OnFault: l.tell(fmt.Sprint("store ", n))})
			if err != nil {
				t.Fatal(err)
			}
			o.Store = store
		}
		h := endpoint[*wsserver.Hub](t)(wsserver.New(o))
		if !durable {
			bus := endpoint[*redis.Target](t)(redis.New("redis://"+way.Addr, &redis.Options{NoEcho: true, OnFault: l.tell(fmt.Sprint("bus ", n))}))
			if _, err := h.Join(t.Context(), bus, nil); err != nil {
				t.Fatal(err)
			}
		}
		net := proxy(t, serve(t, h))
		for range 2 {
			e := l.ear(fmt.Sprint("spoke ", len(clients)))
			clients = append(clients, endpoint[*wsclient.Client](t)(wsclient.New("ws://"+net.Addr, &wsclient.Options{
				Options: link.Options{OnFault: e.fault, Heartbeat: heartbeat, Backoff: backoff, Subscribe: true},
			})))
		}
		if n == 1 {
			faults = append(faults, overTCP(net)...)
		}
	}
	l.faults = faults
	for n := range 2 {
		on := eventtarget.T("n", fmt.Sprint("from ", n))
		f := l.flow(fmt.Sprint("spoke ", 2*n), clients[2*n], on)
		for i, e := range l.ears {
			if i != 2*n {
				e.hears(t, clients[i], on, f)
			}
		}
	}
	l.ready = func(ctx context.Context) error {
		for _, c := range clients {
			if err := c.Ready(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	return l
}
