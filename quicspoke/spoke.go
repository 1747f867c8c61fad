package quicspoke

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Options configures a [Spoke]: the link's own, and what concerns the connection.
type Options struct {
	// Options are those of the link. Dial, Adapter and Framing are set by New. Heartbeat
	// defaults to 3 s. Identity defaults to the hub's pin if it has only one.
	link.Options
	// Identity is who the spoke is and whom it takes for its hub. It is required.
	// ServerName defaults to the host that is connected to.
	Identity identity.Config
	// Plain makes the spoke offer no session: what is under way when a connection
	// breaks is then lost.
	Plain bool
	// HandshakeTimeout bounds a handshake, as DialTimeout does. Default 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout ends a connection from which nothing came for so long, or up to
	// KeepAlive longer: it counts from what was sent meanwhile (RFC 9000 §10.1). The
	// shorter one of both ends holds, where the other's counts as 5 s at least.
	// Default 10 s.
	IdleTimeout time.Duration
	// KeepAlive is how often a connection on which nothing passes is kept from
	// being idle; at most half of IdleTimeout counts. Default 3 s; negative: never.
	KeepAlive time.Duration
}

const adapter = "quicspoke"

// Spoke is a [link.Link] over QUIC.
type Spoke struct{ *link.Link }

// New returns a spoke of the hub at address, "host:port", which it begins to connect
// to; wait for Ready where that matters. The error says what is wrong with the
// address or the options.
func New(address string, opts *Options) (*Spoke, error) {
	s, err := open(address, opts)
	if _, told := errors.AsType[*eventtarget.Error](err); told { // the link has said so
		return nil, err
	}
	if err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: err}
	}
	return s, nil
}

func open(address string, opts *Options) (*Spoke, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("%q is not host:port", address)
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	times, err := quicconn.Times{Handshake: o.HandshakeTimeout, Idle: o.IdleTimeout, KeepAlive: o.KeepAlive}.WithDefaults()
	if err != nil {
		return nil, err
	}
	who := o.Identity
	if who.ServerName == "" {
		who.ServerName = host
	}
	security, err := who.Client(quicconn.Protocols(!o.Plain)...)
	if err != nil {
		return nil, err
	}
	d := &dialer{
		address: address, security: security, quic: quicconn.Config(times, -1), limit: wire.MaxFrame(o.Limits),
	}
	if o.Options.Identity == "" && len(who.Pins) == 1 {
		o.Options.Identity = who.Pins[0].String()
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 3 * time.Second
	}
	o.Adapter, o.Dial, o.Framing = adapter, d.dial, quicconn.AppendHeader
	l, err := link.New(o.Options)
	if err != nil {
		return nil, err
	}
	return &Spoke{Link: l}, nil
}

type dialer struct {
	address  string
	security *tls.Config
	quic     *quic.Config
	limit    int
	been     atomic.Bool // connected
}

func (d *dialer) dial(ctx context.Context) (link.Conn, error) {
	conn, err := quic.DialAddr(ctx, d.address, d.security, d.quic)
	if err != nil {
		return nil, d.explain(err, false)
	}
	c, err := d.greet(ctx, conn)
	if err != nil {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(eventtarget.CodeNormal.QUIC()), "")
		return nil, d.explain(err, true)
	}
	d.been.Store(true)
	return c, nil
}

// greet opens the stream and waits for the hub's answer: in TLS 1.3 the end that
// connects is done before the other has looked at its certificate.
func (d *dialer) greet(ctx context.Context, conn *quic.Conn) (*quicconn.Conn, error) {
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	c := quicconn.New(conn, stream, d.limit)
	if err := c.Greet(); err != nil {
		return nil, err
	}
	return c, c.Await(ctx)
}

// explain returns why there is no connection. A hub that has proved who it is and
// refuses the spoke is not asked again. Any other refusal may be the doing of
// somebody in between, who may go away: it ends the spoke only if it was never
// connected, and then most likely is a mistake.
func (d *dialer) explain(err error, proved bool) error {
	refusal := quicconn.Refusal(err)
	switch _, told := errors.AsType[*quic.ApplicationError](err); {
	case told:
		return quicconn.Reason(err)
	case refusal == nil:
		return err
	case proved && refusal.Remote || !d.been.Load():
		return fmt.Errorf("%w: %w", eventtarget.ErrForbidden, refusal)
	default:
		return refusal
	}
}
