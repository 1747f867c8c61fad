package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/cmd/internal/metrics"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// private is what listens for those who run a hub: metrics and profiles.
type private struct {
	config  *config.Config
	metrics *metrics.Metrics // nil: nobody asks
	urls    []string         // of the metrics, once they are served
}

// prepare makes what counts, if anybody asks for it.
func (p *private) prepare(c *config.Config) {
	p.config = c
	for range c.Listeners(config.KindMetrics) {
		p.metrics = metrics.New()
		return
	}
}

// observe returns the options of a hub that is to be seen, if anybody asks.
func (p *private) observe(o hub.Options) hub.Options {
	if p.metrics == nil {
		return o
	}
	return p.metrics.Options(o)
}

// faults returns a hook for what a hub is joined with: its faults are counted with the hub's.
func (p *private) faults(tell func(eventtarget.Fault)) func(eventtarget.Fault) {
	if p.metrics == nil {
		return tell
	}
	return p.metrics.Faults(tell)
}

// serve shows the hub that was made with these options until stop is called. After an error
// there is nothing to stop.
func (p *private) serve(ctx context.Context, log *slog.Logger, h *hub.Hub) (stop func(), err error) {
	if p.metrics == nil {
		return func() {}, nil
	}
	if err := p.metrics.Watch(ctx, h); err != nil {
		return func() {}, err
	}
	server := &http.Server{Handler: p.metrics.Handler(), ReadHeaderTimeout: 5 * time.Second}
	var serving sync.WaitGroup
	stop = func() {
		_ = server.Close()
		serving.Wait()
	}
	for key, l := range p.config.Listeners(config.KindMetrics) {
		socket, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(ctx), "tcp", l.Address)
		if err != nil {
			stop()
			return func() {}, cannotListen(p.config, key, err)
		}
		p.urls = append(p.urls, fmt.Sprintf("http://%s/metrics", socket.Addr()))
		serving.Go(func() {
			if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
				log.Error("no metrics any more", "at", socket.Addr().String(), "err", err) // the hub goes on without
			}
		})
	}
	return stop, nil
}
