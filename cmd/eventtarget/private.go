package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/cmd/internal/metrics"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// private is the listener for those who run a hub: metrics and profiles.
type private struct {
	listen  string // empty: there is none
	metrics *metrics.Metrics
}

// observe returns the options of a hub that is to be seen.
func (p *private) observe(o hub.Options) hub.Options {
	if p.listen == "" {
		return o
	}
	p.metrics = metrics.New()
	return p.metrics.Options(o)
}

// serve shows the hub that was made with these options until stop is called.
func (p *private) serve(ctx context.Context, cmd *cobra.Command, h *hub.Hub) (stop func(), err error) {
	if p.listen == "" {
		return func() {}, nil
	}
	if err := p.metrics.Watch(ctx, h); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(ctx), "tcp", p.listen)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: p.metrics.Handler(), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // the hub goes on without
	}()
	cmd.Printf("hub: metrics at http://%s/metrics\n", l.Addr())
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}
