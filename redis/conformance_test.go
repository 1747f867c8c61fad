package redis_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/faultnet"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/redis"
)

func TestConformance(t *testing.T)       { run(t, "redis", redis.Options{}, nil) }
func TestConformanceNoEcho(t *testing.T) { run(t, "redis, no echo", redis.Options{NoEcho: true}, nil) }
func TestConformanceDurable(t *testing.T) {
	run(t, "redis, durable", redis.Options{Durable: true}, map[string]string{"C10": "nothing is missing after a cut, so no gap is told: TestDurable"})
}

func run(t *testing.T, name string, o redis.Options, skip map[string]string) {
	server := redistest.Start(t)
	client := server.Client()
	var buses atomic.Int32 // each rig has a bus of its own
	conformance.Run(t, conformance.Harness{
		Name: name, Open: open.Open, URL: server.URL(), Skip: skip,
		Caps: conformance.Capabilities{Topology: conformance.Bus, Echo: !o.NoEcho, Wire: true, Reconnects: true, Resumes: o.Durable},
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			prefix := fmt.Sprint("bus", buses.Add(1))
			var proxies []*faultnet.Proxy
			rig := &conformance.Rig{
				Sever: func(i int) { proxies[i].Cut() }, Heal: func(i int) { proxies[i].Heal() },
				Close: func() {
					for _, p := range proxies {
						p.Close()
					}
				},
				Foreign: func() (link.Conn, error) { return newForeign(client, prefix, o.Durable), nil },
			}
			for i := range s.Endpoints {
				proxies = append(proxies, redistest.NewProxy(t, server.Addr))
				o.Prefix, o.Limits, o.OnFault, o.RetryFor = prefix, s.Limits(), s.FaultsOf(i), 20*time.Millisecond
				e, err := redis.New("redis://"+proxies[i].Addr, &o)
				if err != nil {
					return nil, err
				}
				rig.Endpoints = append(rig.Endpoints, e)
				if err := e.Ready(ctx); err != nil {
					return nil, err
				}
			}
			return rig, nil
		},
	})
}

var _ eventtarget.Endpoint = (*redis.Target)(nil)
