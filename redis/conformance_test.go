package redis_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/redis"
)

func TestConformance(t *testing.T) { run(t, "redis", one(t), redis.Options{}, nil) }
func TestConformanceNoEcho(t *testing.T) {
	run(t, "redis, no echo, batches", one(t), redis.Options{NoEcho: true, Batch: 64}, nil)
}
func TestConformanceDurable(t *testing.T) {
	run(t, "redis, durable", one(t), redis.Options{Durable: true}, map[string]string{"C10": "nothing is missing after a cut, so no gap is told: TestDurable"})
}
func TestConformanceCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	run(t, "redis, cluster", engine{cluster.URL(), cluster.Client(), nil}, redis.Options{}, nil)
}

type engine struct {
	url    string
	client rueidis.Client
	lanes  []string
}

func one(t *testing.T) engine {
	server := redistest.Start(t)
	return engine{server.URL(), server.Client(), nil}
}

func run(t *testing.T, name string, on engine, o redis.Options, skip map[string]string) {
	var buses atomic.Int32 // each rig has a bus of its own
	conformance.Run(t, conformance.Harness{
		Name: name, Open: open.Open, URL: on.url, Skip: skip,
		Caps: conformance.Capabilities{Topology: conformance.Bus, Echo: !o.NoEcho, Wire: true, Reconnects: true, Resumes: o.Durable},
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			prefix := fmt.Sprint("bus", buses.Add(1))
			var links []*redistest.Links
			rig := &conformance.Rig{
				Sever: func(i int) { links[i].Cut() }, Heal: func(i int) { links[i].Heal() },
				Close: func() {
					for _, l := range links {
						l.Close()
					}
				},
				Foreign: func() (link.Conn, error) { return newForeign(on.client, prefix, o), nil },
				Lanes:   on.lanes,
			}
			for i := range s.Endpoints {
				links = append(links, new(redistest.Links))
				o.Prefix, o.Limits, o.OnFault, o.RetryFor, o.Dial = prefix, s.Limits(), s.FaultsOf(i), 20*time.Millisecond, links[i].Dial
				e, err := redis.New(on.url, &o)
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
