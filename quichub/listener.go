package quichub

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/option"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// ListenerOptions is what concerns the connections.
type ListenerOptions struct {
	// Identity is who the hub is and whom it talks to. It is required.
	Identity identity.Config
	// HandshakeTimeout bounds how long a peer may take to become a spoke.
	// Default 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection from which nothing came for so long, or up to
	// KeepAlive longer: it counts from what was sent meanwhile (RFC 9000 §10.1). The
	// shorter one of both ends holds, where the other's counts as 5 s at least.
	// Default 10 s.
	IdleTimeout time.Duration
	// KeepAlive is how often a connection on which nothing passes is kept from
	// being idle; at most half of IdleTimeout counts. Default 3 s; negative: never.
	KeepAlive time.Duration

	// RetryAbove is how many peers may be in their handshake before each further one
	// must show first that its address is its own, which costs it a round trip (RFC
	// 9000 §8.1.2). Default 64; negative: each must.
	RetryAbove int
	// ConnsPerPrefix bounds how many connections there are, or are in their
	// handshake, from one /24 (IPv4) or /64 (IPv6). One that is over it is refused
	// before its handshake, and comes back later. Default 0: any number. See also
	// [hub.Options.SpokesPerAddr].
	ConnsPerPrefix int
}

// Listener accepts connections on a UDP socket and makes them spokes of a hub.
//
// Owns: the socket, a goroutine that accepts and one that ends it all, one for each
// connection that becomes a spoke or ends, and those of quic-go.
type Listener struct {
	hub       *hub.Hub
	framed    bool // the hub frames its messages as QUIC's are
	limit     int
	handshake time.Duration
	socket    net.PacketConn
	transport *quic.Transport
	listener  *quic.Listener
	closed    chan struct{}
	once      sync.Once
	done      chan struct{}

	unproved   atomic.Int64 // peers that have not proved who they are
	retryAbove int64
	prefixes   prefixes
}

// Serve makes the connections to a socket spokes of a hub that has others too, over
// WebSocket for example: they are one hub, with one order and one set of groups. Such
// a spoke costs a write for each event, where a hub of New writes many at once. The
// listener owns the socket from now on, in case of an error too, and ends with the hub.
// The error says what is wrong with the options.
func Serve(h *hub.Hub, socket net.PacketConn, opts ListenerOptions) (*Listener, error) {
	l, err := newListener(h, socket, opts)
	if err != nil {
		return nil, err
	}
	go l.run()
	return l, nil
}

func newListener(h *hub.Hub, socket net.PacketConn, o ListenerOptions) (*Listener, error) {
	l := &Listener{hub: h, socket: socket, limit: wire.MaxFrame(h.Limits()), closed: make(chan struct{}), done: make(chan struct{})}
	if err := l.listen(o); err != nil {
		_ = socket.Close()
		if _, ok := errors.AsType[*eventtarget.Error](err); !ok {
			err = fail(err)
		}
		return nil, err
	}
	return l, nil
}

func (l *Listener) listen(o ListenerOptions) error {
	times, err := quicconn.Times{Handshake: o.HandshakeTimeout, Idle: o.IdleTimeout, KeepAlive: o.KeepAlive}.WithDefaults()
	if err != nil {
		return err
	}
	if err := option.NotNegative("ConnsPerPrefix", o.ConnsPerPrefix); err != nil {
		return err
	}
	l.handshake, l.prefixes.most = times.Handshake, o.ConnsPerPrefix
	switch {
	case o.RetryAbove == 0:
		l.retryAbove = 64
	case o.RetryAbove > 0:
		l.retryAbove = int64(o.RetryAbove)
	}
	security, err := o.Identity.Server(quicconn.Protocols(l.hub.Sessions())...)
	if err != nil {
		return err
	}
	l.transport = &quic.Transport{
		Conn:                l.socket,
		VerifySourceAddress: l.crowded,
		ConnContext:         l.admit,
	}
	if secret, err := o.Identity.Secret("quic stateless reset"); err == nil {
		l.transport.StatelessResetKey = (*quic.StatelessResetKey)(&secret)
	}
	if l.listener, err = l.transport.Listen(security, quicconn.Config(times, 1)); err != nil {
		_ = l.transport.Close()
	}
	return err
}

// Addr returns the address of the socket.
func (l *Listener) Addr() net.Addr { return l.socket.LocalAddr() }

// Close stops accepting. The spokes that there are stay until they leave, and the
// socket with them.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Done is closed when the listener, or its hub, was closed and the socket is.
func (l *Listener) Done() <-chan struct{} { return l.done }
