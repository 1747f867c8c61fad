package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/option"
)

const adapter = "redis"

// Options configures a [Target]. The zero value is ready to use.
type Options struct {
	// Prefix begins the name of every channel: targets with the same one on the
	// same server are one bus. Letters, digits and "._-:". Default "et".
	Prefix string
	// Durable makes the bus a log that Redis keeps (a stream) instead of Pub/Sub:
	// after a cut a target goes on where it was, and Dispatch tries again until it
	// knows the outcome, for RetryFor at most. All members of a bus must have the
	// same setting. It takes Redis 7.
	Durable bool
	// Shards is how many shard channels a bus on a cluster has. The events of one type
	// are all on one of them; those of different types may be on different nodes, and
	// then have no common order. All members of a bus must have the same number, and
	// each of them has a connection for each. Default 1, which lives on one node and
	// keeps one order.
	Shards int
	// From is where a target on a durable bus begins to hear: behind the position that
	// [Target.Position] returned, or behind the entry of an id; "0-0" is before all that the log
	// has. It reads on once it has its first listener: one that is added later may miss some. It
	// hears what a target before it has dispatched, NoEcho or not. What the log has no more is told
	// as a gap; where this log has never had the position, that is one of unknown size, and it begins at
	// the end. Default: the end. It takes Durable, and is not for a group, which has a place of its own.
	From string
	// Group makes the target a member of a group of that name, on a durable bus: each
	// event is heard by one member of the group, and at least once. It is confirmed to
	// Redis when the listeners that hear it have returned, and what a member has left
	// that died is given to another, with Redelivered set. A group is as durable as
	// the log: it begins at the end of it when its first member joins, and what comes
	// while no member is there waits. All members should have the same listeners; they
	// are called one after the other. Letters, digits and "._-:". It takes Durable.
	Group string
	// ClaimAfter is for how long a member of a group may say nothing before others
	// take over what it had; who is at work says so all the time, whatever the
	// listeners do. All members should have the same. Default 10 s, at least 100 ms.
	ClaimAfter time.Duration
	// LogEvents is about how many events the log keeps; who was away for longer is
	// told a gap. Default 100 000.
	LogEvents int
	// Batch is how many events of one channel may share a message on Pub/Sub, of up to 64 KiB:
	// those that gather while Redis has not answered for others before them. It then has less to do for each
	// event, on the way to everyone who listens, too. All targets understand such a message;
	// other programs on the bus must take an array of envelopes for one. Default 1; at most 512.
	// It is not for a durable bus.
	Batch int
	// RetryFor bounds how long Dispatch tries again on a durable bus, and on a cluster
	// while no node takes the event. Default 10 s; on a cluster 2 s.
	RetryFor time.Duration
	// NoEcho keeps the target from hearing its own dispatches.
	NoEcho bool
	// Limits bounds a message.
	Limits eventtarget.Limits
	// InboxEvents and InboxBytes bound what has arrived and waits to be
	// delivered: it grows only while an Inline listener, or one with Block, holds
	// up delivery. What finds no room is lost and told as a gap. Default 65536
	// and 32 MiB.
	InboxEvents, InboxBytes int
	// Timeout is how long Redis may take to answer before the connection counts
	// as lost. It is asked for a sign of life often enough that a dead one is
	// noticed within 1.2 s more than this. Default 1.5 s.
	Timeout time.Duration
	// DialTimeout bounds one attempt to connect, with TLS and authentication.
	// Default 1 s. The next attempt follows after a pause of at most 200 ms.
	DialTimeout time.Duration
	// Dial makes the connections, to addresses of the URL and of a cluster's nodes as
	// they name themselves; nil: a net.Dialer does. TLS is added to what it returns. It
	// is called from several goroutines, and ctx bounds it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is used for rediss:// and rediss+cluster:// URLs. nil: the system's roots, TLS 1.2 and up.
	TLS *tls.Config
	// OnFault hears the faults; nil logs them.
	OnFault func(eventtarget.Fault)

	from position // that From is
}

func (o Options) withDefaults() (Options, error) {
	o.Prefix = cmp.Or(o.Prefix, "et")
	o.InboxEvents = cmp.Or(o.InboxEvents, 1<<16)
	o.InboxBytes = cmp.Or(o.InboxBytes, 32<<20)
	o.LogEvents = cmp.Or(o.LogEvents, 100_000)
	o.ClaimAfter = cmp.Or(o.ClaimAfter, 10*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 1500*time.Millisecond)
	o.DialTimeout = cmp.Or(o.DialTimeout, time.Second)
	if err := cmp.Or(
		o.Limits.Check(),
		option.NotNegative("Shards", o.Shards),
		option.NotNegative("ClaimAfter", o.ClaimAfter),
		option.NotNegative("Batch", o.Batch),
		option.NotNegative("LogEvents", o.LogEvents),
		option.NotNegative("RetryFor", o.RetryFor),
		option.NotNegative("InboxEvents", o.InboxEvents),
		option.NotNegative("InboxBytes", o.InboxBytes),
		option.NotNegative("Timeout", o.Timeout),
		option.NotNegative("DialTimeout", o.DialTimeout),
	); err != nil {
		return o, err
	}
	o.Limits = o.Limits.WithDefaults()
	switch {
	case o.Batch > maxBatch:
		return o, fmt.Errorf("a Batch of %d, which can be %d at most", o.Batch, maxBatch)
	case o.Batch > 1 && o.Durable:
		return o, errors.New("each entry of a log is one event: Batch is for Pub/Sub")
	case o.From != "" && !o.Durable:
		return o, errors.New("a position is in a log: From takes Durable")
	case o.From != "" && o.Group != "":
		return o, errors.New("a group has a place in the log already: From is not for its members")
	case o.From != "":
		from, err := parsePosition(o.From)
		if err != nil {
			return o, fmt.Errorf("where From begins: %w", err)
		}
		o.from = from
		return o, nil
	case o.Group == "":
		return o, nil
	case !o.Durable:
		return o, errors.New("a group shares a log: it takes Durable")
	case o.NoEcho:
		return o, errors.New("a group's members share their own events, too: NoEcho cannot be had")
	case o.ClaimAfter < time.Second/10:
		return o, fmt.Errorf("ClaimAfter is %v, and has to be at least 100 ms", o.ClaimAfter)
	}
	return o, checkName("group", o.Group)
}

// pingEvery is how often rueidis asks a connection for a sign of life, but for the
// first time after another command.
const pingEvery = 600 * time.Millisecond

// nodes reads the URL of a server or cluster. No error repeats it: there may be a
// password in it. It completes those options whose defaults depend on that.
func (o *Options) nodes(rawURL string) (*nodes, error) {
	const want = "write redis://USER:PASSWORD@HOST:PORT, or rediss://…, redis+cluster://… or rediss+cluster://…"
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New(want)
	}
	scheme, isCluster := strings.CutSuffix(u.Scheme, "+cluster")
	if scheme != "redis" && scheme != "rediss" {
		return nil, errors.New(want)
	}
	if path := strings.Trim(u.Path, "/"); path != "" && path != "0" {
		return nil, errors.New("Pub/Sub knows no databases: keep buses apart by their prefix")
	}
	switch {
	case isCluster && o.Durable:
		return nil, errors.New("a durable bus is one stream, which no cluster can spread: open a server")
	case isCluster:
		o.Shards = cmp.Or(o.Shards, 1)
		o.RetryFor = cmp.Or(o.RetryFor, 2*time.Second)
	case o.Shards > 0:
		return nil, errors.New("only a bus on a cluster has shards: redis+cluster://…")
	default:
		o.RetryFor = cmp.Or(o.RetryFor, 10*time.Second)
	}
	c := rueidis.ClientOption{
		InitAddress:         []string{net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "6379"))},
		Dialer:              net.Dialer{Timeout: o.DialTimeout, KeepAlive: pingEvery},
		ConnWriteTimeout:    o.Timeout,
		ForceSingleClient:   true,
		PipelineMultiplex:   -1, // one connection to publish on: messages stay in order
		DisableCache:        true,
		ClientSetInfo:       rueidis.DisableClientSetInfo, // a right less to ask for
		DisableRetry:        true,                         // a message that is sent again may arrive twice
		ReadBufferEachConn:  32 << 10,
		WriteBufferEachConn: 32 << 10,
		RingScaleEachConn:   8,
	}
	if u.User != nil {
		c.Username = u.User.Username()
		c.Password, _ = u.User.Password()
	}
	if scheme == "rediss" {
		c.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			c.TLSConfig = o.TLS.Clone()
		}
		c.TLSConfig.ServerName = cmp.Or(c.TLSConfig.ServerName, u.Hostname())
	}
	return &nodes{option: c, fixed: !isCluster}, nil
}

// dialer returns what makes connections that end with ctx, so that no call on one
// outlives the target.
func (o Options) dialer(ended context.Context) func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	return func(ctx context.Context, address string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(ended, cancel)()
		dial := o.Dial
		if dial == nil {
			dial = d.DialContext
		}
		ctx, stop := context.WithTimeout(ctx, o.DialTimeout)
		defer stop()
		conn, err := dial(ctx, "tcp", address)
		if err == nil && config != nil {
			secure := tls.Client(conn, config)
			if err = secure.HandshakeContext(ctx); err != nil {
				_ = conn.Close()
			}
			conn = secure
		}
		if err != nil {
			return nil, notSent{fmt.Errorf("connect: %w", err)}
		}
		c := &connection{Conn: conn}
		c.stop = context.AfterFunc(ended, func() { _ = conn.Close() })
		return c, nil
	}
}

type connection struct {
	net.Conn
	stop func() bool
}

func (c *connection) Close() error {
	c.stop()
	return c.Conn.Close()
}
