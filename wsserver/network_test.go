package wsserver_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/wire"
	"github.com/eventtarget-go/toolkit/internal/wsconn"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// network is what lies between clients and a hub: it can be cut.
type network struct {
	joined  atomic.Int64 // how often a spoke did
	mu      sync.Mutex
	conns   map[int]*crossing
	severed map[int]bool
}

func (n *network) dialer(i int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.severed[i] {
			return nil, errors.New("severed")
		}
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		n.conns[i] = &crossing{Conn: c, stalled: make(chan struct{}), closed: make(chan struct{})}
		return n.conns[i], err
	}
}

// crossing is a client's connection, which can be bad in other ways.
type crossing struct {
	net.Conn
	shred            atomic.Bool // a byte at a time
	stalled, closed  chan struct{}
	stalling, ending sync.Once
}

// stall makes the client read nothing any more.
func (c *crossing) stall() { c.stalling.Do(func() { close(c.stalled) }) }

func (c *crossing) Read(p []byte) (int, error) {
	if c.shred.Load() && len(p) > 1 {
		p = p[:1]
	}
	n, err := c.Conn.Read(p)
	select {
	case <-c.stalled:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *crossing) Write(p []byte) (n int, err error) {
	for c.shred.Load() && err == nil && n < len(p) {
		var one int
		one, err = c.Conn.Write(p[n : n+1])
		n += one
	}
	if n == 0 && err == nil {
		return c.Conn.Write(p)
	}
	return n, err
}

func (c *crossing) Close() error {
	c.ending.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// set cuts or mends the way of client i. A cut is without a word to either end.
func (n *network) set(i int, severed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.severed[i] = severed
	if severed {
		n.conns[i].Close()
	}
}

// dialSession connects a peer that is to greet the hub itself.
func dialSession(ctx context.Context, url string) (link.Conn, error) {
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return nil, err
	}
	return wsconn.New(ws, 1<<21), nil
}

func peers(h *wsserver.Hub) (all []eventtarget.Peer) {
	for s := range h.Spokes() {
		all = append(all, s)
	}
	return all
}

// oneIdentity makes every client the same one, or nobody; of that one duplicates lets
// the hub have one spoke.
func oneIdentity(yes bool) func(*http.Request) (hub.Grant, error) {
	return func(*http.Request) (g hub.Grant, err error) {
		if yes {
			g.Identity = "one"
		}
		return g, nil
	}
}

func duplicates(replace bool) hub.Duplicates {
	if replace {
		return hub.Replace
	}
	return hub.Allow
}

func linkOptions(s conformance.Setup, i int) link.Options {
	return link.Options{
		Limits: s.Limits(), LogEvents: s.Outgoing, OnFault: s.FaultsOf(i),
		Backoff: link.Backoff{Max: cmp.Or(s.Backoff, 10*time.Millisecond)},
	}
}
