package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/worker"
)

// joinTime is how long what a hub is joined with may take to be there.
const joinTime = 10 * time.Second

// company is what a hub is joined with: a bus, other targets, workers. The hub must have
// Echo, so that what it dispatches itself goes to them too.
type company struct {
	hub     *hub.Hub
	onFault func(eventtarget.Fault)
	ends    []eventtarget.Endpoint
}

// all joins everything that a configuration says. After an error it is to be left, too.
func (j *company) all(ctx context.Context, c *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	if c.Backplane.URL != "" {
		if err := j.join(ctx, c.Backplane.URL); err != nil {
			return fmt.Errorf("%s: the backplane at %s: %w", c.Where("backplane.url"), place(c.Backplane.URL), err)
		}
	}
	for i, b := range c.Bridges {
		opts := &eventtarget.BridgeOptions{Topics: topicsOf(b.Topics), HopLimit: b.HopLimit}
		if err := j.open(ctx, b.URL, opts); err != nil {
			return fmt.Errorf("%s: the bridge to %s: %w", c.Where(fmt.Sprintf("bridges[%d]", i)), place(b.URL), err)
		}
	}
	for i, w := range c.Workers {
		if err := j.start(ctx, w); err != nil {
			return fmt.Errorf("%s: the worker %s: %w", c.Where(fmt.Sprintf("workers[%d]", i)), w.Program, err)
		}
	}
	return nil
}

// place is what may be told of a URL: its parameters may be secrets, too.
func place(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "a URL"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func (j *company) open(ctx context.Context, rawURL string, opts *eventtarget.BridgeOptions) error {
	end, err := open.NewMux(&open.Options{OnFault: j.onFault, Overflow: eventtarget.Block}).Open(ctx, rawURL)
	if err != nil {
		return redacted{err, rawURL}
	}
	if err := j.bridge(ctx, end, opts); err != nil {
		return redacted{err, rawURL}
	}
	return nil
}

// redacted is an error about a URL that says nothing which may be a secret: openers repeat
// a parameter that is wrong.
type redacted struct {
	error
	url string
}

func (r redacted) Unwrap() error { return r.error }

func (r redacted) Error() string {
	text := r.error.Error()
	u, err := url.Parse(r.url)
	if err != nil {
		return text
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= shortestSecret {
				text = strings.ReplaceAll(text, v, "…")
			}
		}
	}
	return text
}

// shortestSecret is shorter than any secret that is worth its name.
const shortestSecret = 8

// restarts are the names of what happens when a worker has ended.
var restarts = map[string]worker.Restart{
	"": worker.OnFailure, "never": worker.Never, "on-failure": worker.OnFailure, "always": worker.Always,
}

func (j *company) start(ctx context.Context, w config.Worker) error {
	end, err := worker.Start(worker.Options{
		Path: w.Program, Args: w.Args, Dir: w.Dir, SHA256: w.SHA256, Env: w.Env, Inherit: w.Inherit,
		Restart: restarts[w.Restart], Options: link.Options{OnFault: j.onFault, Overflow: eventtarget.Block},
	})
	if err != nil {
		return err
	}
	return j.bridge(ctx, end, &eventtarget.BridgeOptions{Topics: topicsOf(w.Topics)})
}

func (j *company) bridge(ctx context.Context, end eventtarget.Endpoint, opts *eventtarget.BridgeOptions) error {
	j.ends = append(j.ends, end)
	if err := end.Ready(ctx); err != nil {
		return err
	}
	_, err := eventtarget.Bridge(ctx, j.hub, end, opts)
	return err
}

// leave ends it all, once the hub has dispatched what it had.
func (j *company) leave(ctx context.Context) error {
	var all []error
	for _, end := range j.ends {
		all = append(all, end.Shutdown(ctx))
	}
	return errors.Join(all...)
}

// abandon ends it all at once.
func (j *company) abandon() {
	for _, end := range j.ends {
		_ = end.Close() // it never has an error
	}
}

func topicsOf(all []config.Topic) (topics []eventtarget.Topic) {
	for _, t := range all {
		topics = append(topics, t.Topic)
	}
	return topics
}
