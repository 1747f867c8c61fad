package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/cmd/internal/systemd"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// daemon is a hub that runs as its configuration says.
type daemon struct {
	cmd    *cobra.Command
	log    *slog.Logger
	source config.Source
	config *config.Config // what it was started with
	policy policy

	hub         *wsserver.Hub
	store       *filestore.Store // nil: there is none
	private     private
	hide        func() // ends private
	joined      company
	http        net.Listener
	routes      atomic.Pointer[http.ServeMux]
	certificate atomic.Pointer[tls.Certificate]
}

func newDaemon(cmd *cobra.Command, s config.Source, c *config.Config) *daemon {
	d := &daemon{cmd: cmd, source: s, config: c, log: logger(cmd)}
	d.policy.set(c)
	d.private.listen, d.hide = c.Metrics, func() {}
	return d
}

// run starts the hub, serves until ctx ends, and drains it.
func (d *daemon) run(ctx context.Context) error {
	again := make(chan os.Signal, 1)
	if d.source.File != "" {
		signal.Notify(again, syscall.SIGHUP)
		defer signal.Stop(again)
	}
	if err := d.start(ctx); err != nil {
		d.joined.abandon()
		if d.http != nil {
			err = errors.Join(err, d.http.Close())
		}
		if d.hub != nil {
			err = errors.Join(err, d.hub.Close())
		}
		return errors.Join(err, d.release())
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.routes.Load().ServeHTTP(w, r) }),
		ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: int(d.config.Limits.MaxHeaderBytes),
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- d.serve(server) }()
	d.tell(systemd.Ready)
	for {
		select {
		case err := <-failed:
			d.joined.abandon()
			return errors.Join(err, d.hub.Close(), d.release())
		case <-again:
			d.reload()
		case <-ctx.Done():
			d.tell(systemd.Stopping)
			return d.end(server)
		}
	}
}

// end drains what there is.
func (d *daemon) end(server *http.Server) error {
	drain := time.Duration(d.config.DrainTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	err := errors.Join(d.hub.Shutdown(ctx), server.Shutdown(ctx))
	leave, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	return errors.Join(err, d.joined.leave(leave), d.release())
}

// release gives back what the hub needed, which is closed.
func (d *daemon) release() error {
	d.hide()
	if d.store == nil {
		return nil
	}
	if d.hub != nil {
		<-d.hub.Done() // what it still has to keep is kept
	}
	return d.store.Close()
}

// tell tells systemd, if that is there.
func (d *daemon) tell(state string) {
	if err := systemd.Notify(state); err != nil {
		d.log.Warn("systemd cannot be told", "err", err)
	}
}

// start makes everything that is configured be there.
func (d *daemon) start(ctx context.Context) (err error) {
	c := d.config
	options := d.options()
	if s := c.Store; s.Folder != "" {
		if d.store, err = filestore.Open(s.Folder, &filestore.Options{Bytes: int64(s.Bytes), Sync: s.Sync}); err != nil {
			return fmt.Errorf("%s: %w", c.Label("store.folder"), err)
		}
		options.Store = d.store
	}
	options.Options = d.private.observe(options.Options)
	if d.hub, err = wsserver.New(options); err != nil {
		return err
	}
	if d.http, err = net.Listen("tcp", c.HTTP.Address); err != nil {
		return fmt.Errorf("%s: %w; write another address, or end what listens there (ss -lntup shows it)", c.Label("http.address"), err)
	}
	d.certificate.Store(c.HTTP.Certificate)
	d.routes.Store(d.newRoutes(c))
	d.joined = company{hub: d.hub.Hub, onFault: warn(d.cmd)}
	if err := d.joined.all(ctx, c); err != nil {
		return err
	}
	quicURL, err := d.serveQUIC()
	if err != nil {
		return err
	}
	ws, page := "ws", "http"
	if c.HTTP.Certificate != nil {
		ws, page = "wss", "https"
	}
	d.cmd.Printf("hub: ready at %s://%s/ws\n", ws, d.http.Addr())
	if quicURL != "" {
		d.cmd.Printf("hub: ready at %s\n", quicURL)
	}
	hide, err := d.private.serve(ctx, d.cmd, d.hub.Hub)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Label("metrics"), err)
	}
	d.hide = hide
	if d.page(c) {
		d.cmd.Printf("hub: what flows is shown at %s://%s/\n", page, d.http.Addr())
	}
	return nil
}

var (
	overflows = map[string]eventtarget.Overflow{
		"disconnect": eventtarget.Disconnect, "drop-oldest": eventtarget.DropOldest,
		"conflate": eventtarget.Conflate, "block": eventtarget.Block,
	}
	duplicates = map[string]hub.Duplicates{"allow": hub.Allow, "replace": hub.Replace, "refuse": hub.Refuse}
)

// options are those of the hub. What a reload may change is asked of the policy.
func (d *daemon) options() *wsserver.Options {
	c := d.config
	l := c.Limits
	o := hub.Options{
		Relay: c.Relay, Echo: true, OnFault: warn(d.cmd), OnlySubscribed: c.OnlySubscribed,
		Limits: eventtarget.Limits{
			Message: int(l.Message), Depth: l.Depth, Headers: l.Headers, HeaderBytes: int(l.HeaderBytes),
		},
		LogBytes: int(l.LogBytes), LogEvents: l.LogEvents, InboxBytes: int(l.InboxBytes),
		SpokeBytes: int(l.SpokeBytes), SpokeEvents: l.SpokeEvents, Subscriptions: l.Subscriptions,
		Spokes: l.Spokes, SpokesPerAddr: l.SpokesPerAddr, Rate: l.Rate, Burst: l.Burst,
		Overflow: overflows[c.Overflow], Duplicates: duplicates[c.Duplicates], RetainTopics: c.RetainTopics,
		SessionTimeout: time.Duration(c.SessionTimeout), Heartbeat: time.Duration(c.Heartbeat), Misses: c.Misses,
		WriteTimeout: time.Duration(c.WriteTimeout), FirstMessage: max(time.Duration(c.FirstMessage), 0),
	}
	if len(c.Topics) > 0 || d.source.File != "" {
		o.Authorize = d.policy.authorize
	}
	if len(c.Retain) > 0 || d.source.File != "" {
		o.Retain = d.policy.retained
	}
	// The routes look at the origins: those may change.
	return &wsserver.Options{
		Options: o, Origins: []string{"*"}, Hosts: c.Hosts, TrustedProxies: networks(c.Proxies), Authenticate: d.policy.authenticate,
	}
}

// reload reads the configuration again and takes over what a running hub can.
func (d *daemon) reload() {
	d.tell(systemd.Reloading())
	defer d.tell(systemd.Ready)
	c, _, err := config.Load(d.source)
	if err != nil {
		logProblems(d.log, "not reloaded", err)
		return
	}
	for _, key := range config.Changes(d.config, c) {
		d.log.Warn("this change waits for a restart", "key", key, "at", c.Where(key).String())
	}
	d.policy.set(c)
	d.hub.SetSpokes(c.Limits.Spokes, c.Limits.SpokesPerAddr)
	d.routes.Store(d.newRoutes(c))
	if c.HTTP.Certificate != nil {
		d.certificate.Store(c.HTTP.Certificate)
	}
	ended := d.policy.enforce(d.hub.Hub)
	d.log.Info("reloaded", "file", d.source.File, "spokes", d.hub.Len(), "withdrawn", ended)
}
