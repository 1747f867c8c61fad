// Package open opens event targets by URL, with every scheme of this module:
//
//	mem://NAME             a bus in this process, shared by all who open the name
//	ws://HOST/PATH         a WebSocket client
//	wss://HOST/PATH        the same over TLS
//	quic://HOST:PORT       a spoke of a QUIC hub
//	sse+http://HOST/PATH   a stream of server-sent events: it only listens
//	sse+https://HOST/PATH  the same over TLS
//	worker:///PATH         a child process; only where AllowExec is set
//	redis://HOST:PORT      a bus on a Redis server; before the host USER:PASSWORD@
//	rediss://HOST:PORT     the same over TLS
//	redis+cluster://HOST:PORT   a bus on a Redis Cluster, found by any of its nodes
//	rediss+cluster://HOST:PORT  the same over TLS
//
// Whatever the scheme, an opened target hears its own dispatches unless the
// parameter echo=false says otherwise, so that swapping the URL never changes who
// hears what. Parameters of all schemes: echo (true, false) and max (the limit of a
// message in bytes). redis:// and rediss:// also have prefix, which names the bus,
// durable (true, false) and, on a durable bus, group, the name of those who share its events, or
// from, the position to hear them from;
// redis+cluster:// and rediss+cluster:// have prefix and shards, on how many channels
// the bus is spread; all of these, but for a durable bus, have batch, how many events may
// share a message; quic:// has pin, the hub's key (twice while it is being changed),
// and key, the file of the spoke's own: without it the spoke is somebody new each time;
// insecure=true talks to any hub. sse+http:// has topic, what to listen to (repeatable).
// worker: has arg (repeatable), sha256 and restart (never, on-failure, always). ws:, wss:
// and quic: have subscribe: with true the hub is asked for the topics that have
// listeners, as one must be that does not let everyone hear everything. ws:, wss: and
// sse+http: have token-file, the file of a bearer token, which is read for each
// connection. An unknown scheme or parameter is an error that names it, and so is a
// parameter that stands there twice and is not repeatable, a fragment, and a user where
// nobody would be told of one: mem:, quic: and worker: know none, and a token takes its
// place.
//
// What cannot be swapped without losing a promise says so: [Options.Require] refuses a
// URL whose scheme does not keep what the program relies on, and [Card] tells what each
// keeps.
package open

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Options is what a URL cannot say.
type Options struct {
	// OnFault hears the faults of what is opened; nil logs them.
	OnFault func(eventtarget.Fault)
	// Limits bounds a message where the URL says nothing else.
	Limits eventtarget.Limits
	// Overflow is what Dispatch does when what waits for the other end is as much as may:
	// [eventtarget.Reject] (the default) or [eventtarget.Block]. It is for ws:, wss: and
	// quic:.
	Overflow eventtarget.Overflow
	// AllowExec lets worker: start programs. A URL that others may choose must not.
	AllowExec bool
	// Require is what the program relies on: a URL whose scheme does not keep all of
	// it is refused with [ErrUnmet] and what is missing, before anything is opened. It
	// is asked of the schemes of this package; an opener that an application adds
	// answers for itself. Default: nothing.
	Require []Requirement
}

// Open opens the target that rawURL names, with default options. A target with a
// connection may still be connecting: wait for Ready where that matters.
func Open(ctx context.Context, rawURL string) (eventtarget.Endpoint, error) {
	return NewMux(nil).Open(ctx, rawURL)
}

// NewMux returns a mux that knows every scheme of this module, to be extended by
// [eventtarget.Mux.Handle]. nil options are the defaults.
func NewMux(opts *Options) *eventtarget.Mux {
	var o Options
	if opts != nil {
		o = *opts
	}
	m := &eventtarget.Mux{}
	m.Handle("mem", o.requiring(o.mem))
	m.Handle("worker", o.requiring(o.worker))
	m.Handle("ws", o.requiring(o.webSocket))
	m.Handle("wss", o.requiring(o.webSocket))
	m.Handle("quic", o.requiring(o.quic))
	m.Handle("sse+http", o.requiring(o.events))
	m.Handle("sse+https", o.requiring(o.events))
	m.Handle("redis", o.requiring(o.redis))
	m.Handle("rediss", o.requiring(o.redis))
	m.Handle("redis+cluster", o.requiring(o.redisCluster))
	m.Handle("rediss+cluster", o.requiring(o.redisCluster))
	return m
}

// common are the parameters that every scheme has.
type common struct {
	echo   bool
	limits eventtarget.Limits
}

// repeatable are the parameters that have any number of values.
var repeatable = []string{"arg", "pin", "topic"}

// parse reads them, where those with other names are the scheme's own.
func (o Options) parse(u *url.URL, others ...string) (c common, err error) {
	c.limits = o.Limits
	if err := c.limits.Check(); err != nil { // which a member of a bus in memory cannot tell
		return c, err
	}
	if err := eventtarget.CheckParameters(u, append([]string{"echo", "max"}, others...)...); err != nil {
		return c, err
	}
	q := u.Query()
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if n := len(q[name]); n > 1 && !slices.Contains(repeatable, name) {
			return c, fmt.Errorf("parameter %s: it stands there %d times, and has one value", name, n)
		}
	}
	switch { // of both no more is said: there may be a password in them
	case u.Fragment != "":
		return c, errors.New("a fragment means nothing here: write %23 for a # that is part of something else")
	case u.User != nil && slices.Contains([]string{"mem", "quic", "worker"}, u.Scheme):
		return c, fmt.Errorf("%s: knows no user: leave out what stands before the @", u.Scheme)
	case u.User != nil && q.Has("token-file"):
		return c, errors.New("parameter token-file: there is a user before the @ too: write one of the two")
	}
	if c.echo, err = parseBool(q, "echo", true); err != nil {
		return c, err
	}
	if q.Has("max") {
		n, err := strconv.Atoi(q.Get("max"))
		if err != nil || n <= 0 {
			return c, fmt.Errorf("parameter max: %q is no positive number of bytes", q.Get("max"))
		}
		c.limits.Message = n
	}
	return c, nil
}

func parseBool(q url.Values, name string, absent bool) (bool, error) {
	if !q.Has(name) {
		return absent, nil
	}
	b, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return false, fmt.Errorf("parameter %s: %q is neither true nor false", name, q.Get(name))
	}
	return b, nil
}
