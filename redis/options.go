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
	// LogEvents is about how many events the log keeps; who was away for longer is
	// told a gap. Default 100 000.
	LogEvents int
	// RetryFor bounds how long Dispatch tries again on a durable bus. Default 10 s.
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
	// TLS is used for rediss:// URLs. nil: the system's roots, TLS 1.2 and up.
	TLS *tls.Config
	// OnFault hears the faults; nil logs them.
	OnFault func(eventtarget.Fault)
}

func (o Options) withDefaults() (Options, error) {
	o.Prefix = cmp.Or(o.Prefix, "et")
	o.Limits = o.Limits.WithDefaults()
	o.InboxEvents = cmp.Or(o.InboxEvents, 1<<16)
	o.InboxBytes = cmp.Or(o.InboxBytes, 32<<20)
	o.LogEvents = cmp.Or(o.LogEvents, 100_000)
	o.RetryFor = cmp.Or(o.RetryFor, 10*time.Second)
	o.Timeout = cmp.Or(o.Timeout, 1500*time.Millisecond)
	o.DialTimeout = cmp.Or(o.DialTimeout, time.Second)
	if o.InboxEvents < 0 || o.InboxBytes < 0 || o.LogEvents < 0 || o.RetryFor < 0 || o.Timeout < 0 || o.DialTimeout < 0 {
		return o, errors.New("a negative option")
	}
	return o, nil
}

// pingEvery is how often rueidis asks a connection for a sign of life, but for the
// first time after another command.
const pingEvery = 600 * time.Millisecond

// server reads the URL of a server. No error repeats it: there may be a password
// in it.
func (o Options) server(rawURL string) (rueidis.ClientOption, error) {
	const want = "write redis://USER:PASSWORD@HOST:PORT or rediss://…"
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return rueidis.ClientOption{}, errors.New(want)
	}
	if path := strings.Trim(u.Path, "/"); path != "" && path != "0" {
		return rueidis.ClientOption{}, errors.New("Pub/Sub knows no databases: keep buses apart by their prefix")
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
	if u.Scheme == "rediss" {
		c.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			c.TLSConfig = o.TLS.Clone()
		}
		c.TLSConfig.ServerName = cmp.Or(c.TLSConfig.ServerName, u.Hostname())
	}
	return c, nil
}

// dialer returns what makes connections that end with ctx, so that no call on one
// outlives the target.
func dialer(ended context.Context) func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	return func(ctx context.Context, address string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(ended, cancel)()
		var conn net.Conn
		var err error
		if config == nil {
			conn, err = d.DialContext(ctx, "tcp", address)
		} else {
			conn, err = (&tls.Dialer{NetDialer: d, Config: config}).DialContext(ctx, "tcp", address)
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
