package ssehub_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/sseclient"
	"github.com/eventtarget-go/toolkit/ssehub"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Harness{
		Name: "ssehub with sseclient", Caps: conformance.Capabilities{Topology: conformance.Hub, Wire: true, Source: true, Reconnects: true, Resumes: true, ReceiveOnly: true},
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			joined := make(chan struct{}, 1000)
			h, err := ssehub.New(&ssehub.Options{HandlerOptions: ssehub.HandlerOptions{KeepHeaders: []string{"Endpoint"}}, Options: hub.Options{
				Limits: s.Limits(), Heartbeat: s.Heartbeat, OnFault: s.FaultsOf(0), OnConnect: func(sp *hub.Spoke) { s.OnConnect(sp); joined <- struct{}{} },
				OnDisconnect: func(sp *hub.Spoke, r eventtarget.Reason) { s.OnDisconnect(sp, r) },
			}})
			server := httptest.NewServer(h)
			proxies := make([]*faultnet.Proxy, s.Endpoints)
			rig := &conformance.Rig{
				Endpoints: []eventtarget.Endpoint{h}, Spokes: func() []eventtarget.Peer { return peers(h, "") },
				Kill: func(i int) { proxies[i].Cut() }, Sever: func(i int) { proxies[i].Cut() }, Heal: func(i int) { proxies[i].Heal() },
				Spoke: func(i int) eventtarget.Peer { return peers(h, strconv.Itoa(i))[0] },
				Close: func() {
					for _, p := range proxies[1:] {
						p.Close()
					}
					server.Close()
				},
			}
			for i := 1; err == nil && i < s.Endpoints; i++ {
				proxies[i], err = faultnet.NewProxy(strings.TrimPrefix(server.URL, "http://"))
				c, failed := sseclient.New("http://"+proxies[i].Addr, &sseclient.Options{
					Header: http.Header{"Endpoint": {strconv.Itoa(i)}}, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
					Options: link.Options{Limits: s.Limits(), OnFault: s.FaultsOf(i), Backoff: link.Backoff{Max: cmp.Or(s.Backoff, 10*time.Millisecond)}},
				})
				rig.Endpoints = append(rig.Endpoints, c)
				if err = errors.Join(err, failed, c.Ready(ctx)); err == nil {
					<-joined
				}
			}
			return rig, err
		},
	})
}

// peers returns the spokes, or those of an endpoint.
func peers(h *ssehub.Hub, endpoint string) (all []eventtarget.Peer) {
	for s := range h.Spokes() {
		if endpoint == "" || s.Header("Endpoint") == endpoint {
			all = append(all, s)
		}
	}
	return all
}
