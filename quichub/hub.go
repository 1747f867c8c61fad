package quichub

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Options configures a [Hub]: the hub's own, and what concerns the connections.
type Options struct {
	// Options are those of the hub. Adapter and Framing are set by New.
	hub.Options
	// Identity is who the hub is and whom it talks to. It is required.
	Identity identity.Config
	// HandshakeTimeout bounds how long a peer may take to become a spoke.
	// Default 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection from which nothing came for so long; the
	// shorter one of both ends holds. Default 10 s.
	IdleTimeout time.Duration
	// KeepAlive is how often a connection on which nothing passes is kept from
	// being idle; at most half of IdleTimeout counts. Default 3 s; negative: never.
	KeepAlive time.Duration
}

const adapter = "quichub"

// Hub is a [hub.Hub] on a UDP socket, whose every accepted connection is a spoke.
//
// Owns, beside what the hub's engine does: the socket, a goroutine that accepts and
// one that ends it all, one for each connection that becomes a spoke or ends, and
// those of quic-go.
type Hub struct {
	*hub.Hub
	limit     int
	handshake time.Duration
	socket    net.PacketConn
	transport *quic.Transport
	listener  *quic.Listener
	unproved  atomic.Int64 // peers that have not proved who they are
	done      chan struct{}
}

// Listen returns a hub on a UDP address such as "127.0.0.1:8443" or ":8443". The
// error says what is wrong with the address or the options.
func Listen(address string, opts *Options) (*Hub, error) {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: err}
	}
	return New(socket, opts)
}

// New returns a hub on a socket, which it owns from now on, in case of an error too.
// The error says what is wrong with the options.
func New(socket net.PacketConn, opts *Options) (*Hub, error) {
	h, err := open(socket, opts)
	if err != nil {
		_ = socket.Close()
		if _, ok := errors.AsType[*eventtarget.Error](err); !ok {
			err = &eventtarget.Error{Op: "open", Adapter: adapter, Err: err}
		}
		return nil, err
	}
	return h, nil
}

func open(socket net.PacketConn, opts *Options) (*Hub, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Adapter, o.Framing = adapter, quicconn.AppendHeader
	o.Limits = o.Limits.WithDefaults()
	times, err := quicconn.Times{Handshake: o.HandshakeTimeout, Idle: o.IdleTimeout, KeepAlive: o.KeepAlive}.WithDefaults()
	if err != nil {
		return nil, err
	}
	security, err := o.Identity.Server(quicconn.Protocols(o.SessionTimeout >= 0)...)
	if err != nil {
		return nil, err
	}
	h := &Hub{handshake: times.Handshake, socket: socket, done: make(chan struct{})}
	h.limit = wire.MaxFrame(o.Limits)
	h.transport = &quic.Transport{
		Conn:                socket,
		VerifySourceAddress: h.crowded,
		ConnContext:         h.admit,
	}
	if secret, err := o.Identity.Secret("quic stateless reset"); err == nil {
		h.transport.StatelessResetKey = (*quic.StatelessResetKey)(&secret)
	}
	if h.Hub, err = hub.New(o.Options); err != nil {
		return nil, err
	}
	if err := h.listen(security, times); err != nil {
		_ = h.Hub.Close()
		return nil, err
	}
	return h, nil
}

func (h *Hub) listen(security *tls.Config, times quicconn.Times) (err error) {
	if h.listener, err = h.transport.Listen(security, quicconn.Config(times, 1)); err != nil {
		_ = h.transport.Close()
		return err
	}
	go h.run()
	return nil
}

// Addr returns the address that the hub listens at.
func (h *Hub) Addr() net.Addr { return h.socket.LocalAddr() }

// Shutdown is that of [hub.Hub], and waits for the socket to be closed too.
func (h *Hub) Shutdown(ctx context.Context) error {
	if err := h.Hub.Shutdown(ctx); err != nil {
		return err
	}
	select {
	case <-h.done:
	case <-ctx.Done(): // everything is drained
	}
	return nil
}

// Done is closed when the hub is closed, its goroutines have ended and its socket
// is closed.
func (h *Hub) Done() <-chan struct{} { return h.done }
