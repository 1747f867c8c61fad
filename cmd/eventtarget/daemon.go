package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/cmd/internal/systemd"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// daemon is a hub that runs as its configuration says.
type daemon struct {
	cmd    *cobra.Command
	log    *slog.Logger
	source config.Source
	config *config.Config // what it was started with
	policy policy

	hub      *wsserver.Hub
	store    store // nil: there is none
	private  private
	hide     func() // ends private
	joined   company
	websites []*website
}

func newDaemon(cmd *cobra.Command, s config.Source, c *config.Config) *daemon {
	d := &daemon{cmd: cmd, source: s, config: c, log: logger(cmd)}
	d.policy.set(c)
	d.hide = func() {}
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
		for _, w := range d.websites {
			err = errors.Join(err, w.socket.Close())
		}
		if d.hub != nil {
			err = errors.Join(err, d.hub.Close())
		}
		return errors.Join(err, d.release())
	}
	failed := make(chan error, len(d.websites))
	for _, w := range d.websites {
		go func() { failed <- w.serve() }()
	}
	d.tell(systemd.Ready)
	for {
		select {
		case err := <-failed:
			d.joined.abandon()
			for _, w := range d.websites {
				err = errors.Join(err, w.server.Close())
			}
			return errors.Join(err, d.hub.Close(), d.release())
		case <-again:
			d.reload()
		case <-ctx.Done():
			d.tell(systemd.Stopping)
			return d.end()
		}
	}
}

// end drains what there is, in the time that there is for all of it: whoever has told the hub
// to end kills it when that is over.
func (d *daemon) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(d.config.DrainTimeout))
	defer cancel()
	err := d.hub.Shutdown(ctx)
	for _, w := range d.websites {
		err = errors.Join(err, w.server.Shutdown(ctx))
	}
	return errors.Join(err, d.joined.leave(ctx), d.release())
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
	if d.private.prepare(c); d.private.metrics != nil {
		d.policy.refused = d.private.metrics.Unauthorized
	}
	onFault := d.private.faults(warn(d.cmd))
	if d.store, err = openStore(ctx, c, onFault); err != nil {
		return err
	}
	if d.store != nil {
		options.Store = d.store
	}
	options.Options = d.private.observe(options.Options)
	if d.hub, err = wsserver.New(options); err != nil {
		return err
	}
	if err := d.openWebsites(ctx); err != nil {
		return err
	}
	d.joined = company{hub: d.hub.Hub, onFault: onFault}
	if err := d.joined.all(ctx, c); err != nil {
		return err
	}
	urls, err := d.serveQUIC()
	if err != nil {
		return err
	}
	if d.hide, err = d.private.serve(ctx, d.log, d.hub.Hub); err != nil {
		return err
	}
	for _, w := range slices.Backward(d.websites) {
		urls = slices.Insert(urls, 0, w.url("ws", "/ws"))
	}
	for _, url := range urls {
		d.cmd.Printf("hub: ready at %s\n", url)
	}
	for _, url := range d.private.urls {
		d.cmd.Printf("hub: metrics at %s\n", url)
	}
	for _, w := range d.websites {
		if w.page(c) {
			d.cmd.Printf("hub: what flows is shown at %s\n", w.url("http", "/"))
		}
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
		Relay: c.Relay, Echo: true, Bridged: c.Bridged || len(c.Bridges) > 0, BridgedBy: d.policy.bridgedBy,
		OnFault: warn(d.cmd), OnlySubscribed: c.OnlySubscribed,
		Limits: eventtarget.Limits{
			Message: int(l.Message), Depth: l.Depth, Headers: l.Headers, HeaderBytes: int(l.HeaderBytes),
		},
		LogBytes: int(l.LogBytes), LogEvents: l.LogEvents, InboxBytes: int(l.InboxBytes),
		SpokeBytes: int(l.SpokeBytes), SpokeEvents: l.SpokeEvents, Subscriptions: l.Subscriptions,
		Spokes: l.Spokes, SpokesPerAddr: l.SpokesPerAddr, Rate: l.Rate, Burst: l.Burst,
		Overflow: overflows[c.Overflow], Duplicates: duplicates[c.Duplicates], RetainTopics: c.RetainTopics, RetainBytes: int(c.RetainBytes),
		SessionTimeout: time.Duration(c.SessionTimeout), Heartbeat: time.Duration(c.Heartbeat), Misses: c.Misses,
		WriteTimeout: time.Duration(c.WriteTimeout), FirstMessage: max(time.Duration(c.FirstMessage), 0),
	}
	if len(c.Topics) > 0 || d.source.File != "" {
		o.Authorize = d.policy.authorize
	}
	if d.source.File != "" {
		o.OnConnect = d.policy.connected
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
	d.renew(c)
	ended := d.policy.enforce(d.hub.Hub)
	d.log.Info("reloaded", "file", d.source.File, "spokes", d.hub.Len(), "withdrawn", ended)
}
