package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/redis"
)

// durable is the parameter of a backplane that makes it a log.
const durable = "durable"

// splitBackplane returns what a backplane's URL says of the bus, and whether the events are
// to stand in a log there.
func splitBackplane(rawURL string) (bus *url.URL, shared bool, err error) {
	if bus, err = url.Parse(rawURL); err != nil {
		return nil, false, redacted{err, rawURL}
	}
	q := bus.Query()
	if len(q[durable]) > 1 { // as package open says of the others
		return nil, false, fmt.Errorf("parameter %s: it stands there %d times, and has one value", durable, len(q[durable]))
	}
	if q.Has(durable) {
		if shared, err = strconv.ParseBool(q.Get(durable)); err != nil {
			return nil, false, fmt.Errorf("parameter %s: %q is neither true nor false", durable, q.Get(durable))
		}
	}
	if shared && q.Has("batch") {
		return nil, false, fmt.Errorf("parameter batch: each entry of a log is one event, which %s=true makes", durable)
	}
	q.Del(durable)
	bus.RawQuery = q.Encode()
	return bus, shared, nil
}

// store is where the hub keeps what sessions need.
type store interface {
	hub.Store
	io.Closer
}

// openStore opens the store that is configured: a folder, or the log that hubs have in
// common. nil: none is.
func openStore(ctx context.Context, c *config.Config, onFault func(eventtarget.Fault)) (store, error) {
	if s := c.Store; s.Folder != "" {
		kept, err := filestore.Open(s.Folder, &filestore.Options{Bytes: int64(s.Bytes), Sync: s.Sync})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Label("store.folder"), err)
		}
		return kept, nil
	}
	bus, shared, err := splitBackplane(c.Backplane.URL)
	if err == nil && !shared {
		return nil, nil //nolint:nilnil // none is an answer
	}
	var log *redis.Store
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, joinTime)
		defer cancel()
		server := *bus
		server.RawQuery = ""
		log, err = redis.OpenStore(ctx, server.String(), &redis.Options{Prefix: bus.Query().Get("prefix"), OnFault: onFault})
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the backplane at %s: %w", c.Where("backplane.url"), place(c.Backplane.URL), redacted{err, c.Backplane.URL})
	}
	return log, nil
}

// join joins the hub with those that are on the same bus.
func (j *company) join(ctx context.Context, rawURL string) error {
	bus, _, err := splitBackplane(rawURL)
	if err != nil {
		return err
	}
	limits := j.hub.Limits()
	limits.Message += busRoom
	end, err := open.NewMux(&open.Options{OnFault: j.onFault, Limits: limits}).Open(ctx, bus.String())
	if err != nil {
		return redacted{err, rawURL}
	}
	j.ends = append(j.ends, end)
	if err := end.Ready(ctx); err != nil { // says why there is no connection, which Join does not know
		return redacted{err, rawURL}
	}
	if _, err := j.hub.Join(ctx, end, nil); err != nil {
		return redacted{err, rawURL}
	}
	return nil
}

// busRoom is by how much a message is longer on the bus: see [hub.Hub.Join].
const busRoom = 64
