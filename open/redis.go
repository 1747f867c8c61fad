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
	c, err := o.parse(u, "prefix", "durable", "group")
	if err != nil {
		return nil, err
	}
	durable, err := parseBool(u.Query(), "durable", false)
	if err != nil {
		return nil, err
	}
	group := u.Query().Get("group")
	if group != "" && !durable {
		return nil, errors.New("parameter group: its members share a log, which takes durable=true")
	}
	return o.onRedis(u, c, redis.Options{Durable: durable, Group: group})
}

func (o Options) redisCluster(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	c, err := o.parse(u, "prefix", "shards")
	if err != nil {
		return nil, err
	}
	shards := 0
	if text := u.Query().Get("shards"); u.Query().Has("shards") {
		if shards, err = strconv.Atoi(text); err != nil || shards <= 0 {
			return nil, fmt.Errorf("parameter shards: %q is no positive number", text)
		}
	}
	return o.onRedis(u, c, redis.Options{Shards: shards})
}

func (o Options) onRedis(u *url.URL, c common, opts redis.Options) (eventtarget.Endpoint, error) {
	server := *u
	server.RawQuery = ""
	opts.Prefix, opts.NoEcho, opts.Limits, opts.OnFault = u.Query().Get("prefix"), !c.echo, c.limits, o.OnFault
	t, err := redis.New(server.String(), &opts)
	if err != nil {
		return nil, err
	}
	return t, nil
}
