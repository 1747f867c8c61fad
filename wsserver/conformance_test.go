package wsserver_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/wsconn"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, harness(t, "wsserver with wsclient", false, false))
}
func TestConformanceRelay(t *testing.T) {
	conformance.Run(t, harness(t, "wsserver, relay, plain", true, true))
}
func BenchmarkHub(b *testing.B) { conformance.RunBenchmarks(b, harness(b, "wsserver", false, false)) }

func harness(t testing.TB, name string, relay, plain bool) conformance.Harness {
	_, url := newHub(t, wsserver.Options{})
	return conformance.Harness{Name: name, Caps: conformance.Capabilities{Topology: conformance.Hub, Wire: true, Source: true, Retains: true, Replaces: true, Reconnects: true, Resumes: !plain, Relay: relay}, Open: open.Open, URL: url, New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		net := &network{conns: map[int]*crossing{}, severed: map[int]bool{}}
		h, err := wsserver.New(&wsserver.Options{KeepHeaders: []string{"Endpoint"}, Authenticate: oneIdentity(s.Replace), Options: hub.Options{
			Sweepers: 2, SessionTimeout: s.Session, Limits: s.Limits(), LogEvents: s.Outgoing, SpokeEvents: s.Outgoing, Relay: relay, Retain: s.Retain, Duplicates: duplicates(s.Replace), Heartbeat: s.Heartbeat, WriteTimeout: s.WriteTimeout, OnFault: s.FaultsOf(0), OnConnect: func(sp *hub.Spoke) { defer net.joined.Add(1); s.OnConnect(sp) }, OnDisconnect: func(sp *hub.Spoke, r eventtarget.Reason) { s.OnDisconnect(sp, r) },
		}})
		server := httptest.NewServer(h)
		url := "ws" + strings.TrimPrefix(server.URL, "http")
		rig := &conformance.Rig{
			Endpoints: []eventtarget.Endpoint{h}, Close: server.Close,
			Kill: func(i int) { net.set(i, true) }, Sever: func(i int) { net.set(i, true) }, Heal: func(i int) { net.set(i, false) },
			Stall: func(i int) { net.conns[i].stall() }, Shred: func(i int) { net.conns[i].shred.Store(true) },
			Spokes: func() []eventtarget.Peer { return peers(h) },
			Spoke: func(i int) (found eventtarget.Peer) {
				for sp := range h.Spokes() {
					if sp.Header("Endpoint") == strconv.Itoa(i) {
						found = sp
					}
				}
				return found
			},
			Foreign: func() (link.Conn, error) {
				before := net.joined.Load()
				ws, _, err := websocket.Dial(ctx, url, nil)
				for err == nil && net.joined.Load() == before && ctx.Err() == nil {
					time.Sleep(time.Millisecond) // plain peers are not told when they have joined
				}
				return wsconn.New(ws, 1<<21), err
			},
			Session: func() (link.Conn, error) { return dialSession(ctx, url) },
		}
		for i := 1; err == nil && i < s.Endpoints; i++ {
			var c *wsclient.Client
			c, err = wsclient.New(url, &wsclient.Options{
				Plain: plain, Header: http.Header{"Endpoint": {strconv.Itoa(i)}},
				HTTPClient: &http.Client{Transport: &http.Transport{DialContext: net.dialer(i)}},
				Options:    linkOptions(s, i),
			})
			rig.Endpoints = append(rig.Endpoints, c)
			err = errors.Join(err, c.Ready(ctx))
		}
		for h.Len() < s.Endpoints-1 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		return rig, err
	}}
}
