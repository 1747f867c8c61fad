package open

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/redis"
)

func (o Options) redis(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	c, err := o.parse(u, "prefix", "durable", "group", "from", "batch")
	if err != nil {
		return nil, err
	}
	durable, err := parseBool(u.Query(), "durable", false)
	if err != nil {
		return nil, err
	}
	group, from := u.Query().Get("group"), u.Query().Get("from")
	switch {
	case group != "" && !durable:
		return nil, errors.New("parameter group: its members share a log, which takes durable=true")
	case from != "" && !durable:
		return nil, errors.New("parameter from: it is a position in a log, which takes durable=true")
	case from != "" && group != "":
		return nil, errors.New("parameter from: a group has a place in the log already")
	}
	if durable && u.Query().Has("batch") {
		return nil, errors.New("parameter batch: each entry of a log is one event, which durable=true makes")
	}
	return o.onRedis(u, c, redis.Options{Durable: durable, Group: group, From: from})
}

func (o Options) redisCluster(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	c, err := o.parse(u, "prefix", "shards", "batch")
	if err != nil {
		return nil, err
	}
	shards, err := parseCount(u.Query(), "shards")
	if err != nil {
		return nil, err
	}
	return o.onRedis(u, c, redis.Options{Shards: shards})
}

func (o Options) onRedis(u *url.URL, c common, opts redis.Options) (eventtarget.Endpoint, error) {
	batch, err := parseCount(u.Query(), "batch")
	if err != nil {
		return nil, err
	}
	server := *u
	server.RawQuery = ""
	opts.Prefix, opts.Batch, opts.NoEcho, opts.Limits, opts.OnFault = u.Query().Get("prefix"), batch, !c.echo, c.limits, o.OnFault
	t, err := redis.New(server.String(), &opts)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// parseCount returns the positive number that a parameter is; 0 where it is not there.
func parseCount(q url.Values, name string) (int, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("parameter %s: %q is no positive number", name, q.Get(name))
	}
	return n, nil
}
