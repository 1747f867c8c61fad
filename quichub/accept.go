package quichub

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
)

// maxUnproved is how many may be in their handshake at all.
const maxUnproved = 4096

// crowded tells whether a peer must show that its address is its own. Who forges
// addresses gets no further than that.
func (l *Listener) crowded(addr net.Addr) bool {
	return l.unproved.Load() >= l.retryAbove || l.prefixes.crowded(addr)
}

// attempt is a peer in its handshake.
type attempt struct {
	once sync.Once
	l    *Listener
	late time.Time // when it must have become a spoke
}

func (a *attempt) end() { a.once.Do(func() { a.l.unproved.Add(-1) }) }

type attemptKey struct{}

// admit counts a peer that begins its handshake, and tells when it is refused.
func (l *Listener) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	leave, room := l.prefixes.enter(info.RemoteAddr)
	if !room {
		return nil, eventtarget.ErrLimit
	}
	if l.unproved.Add(1) > maxUnproved {
		l.unproved.Add(-1)
		leave()
		return nil, eventtarget.ErrLimit
	}
	a := &attempt{l: l, late: time.Now().Add(l.handshake)}
	context.AfterFunc(ctx, func() {
		a.end()
		leave()
		if refusal := quicconn.Refusal(context.Cause(ctx)); refusal != nil {
			l.hub.ReportFault(eventtarget.Fault{
				Kind: eventtarget.FaultDisconnected, Err: fmt.Errorf("%v: %w", info.RemoteAddr, refusal),
			})
		}
	})
	return context.WithValue(ctx, attemptKey{}, a), nil
}

// run accepts until the hub has ended, and then closes the socket behind everything
// that it still has to say.
func (l *Listener) run() {
	defer close(l.done)
	var conns sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	conns.Go(func() { l.accept(ctx, &conns) })
	select {
	case <-l.hub.Done():
	case <-l.closed:
	}
	cancel()
	_ = l.listener.Close()
	conns.Wait()
	_ = l.transport.Close()
	_ = l.socket.Close()
}

// accept makes spokes until ctx ends.
func (l *Listener) accept(ctx context.Context, conns *sync.WaitGroup) {
	for {
		conn, err := l.listener.Accept(ctx)
		if err != nil {
			if ctx.Err() == nil {
				l.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Err: err})
			}
			if l.framed {
				_ = l.hub.Close() // without its socket it is of no use
			}
			return
		}
		late := time.Now().Add(l.handshake)
		if a, ok := conn.Context().Value(attemptKey{}).(*attempt); ok {
			a.end()
			late = a.late
		}
		conns.Add(1)
		context.AfterFunc(conn.Context(), conns.Done)
		conns.Go(func() { l.join(ctx, conn, late) })
	}
}

// join makes a spoke of a peer that has proved who it is, as soon as it opens its
// stream.
func (l *Listener) join(ctx context.Context, conn *quic.Conn, late time.Time) {
	ctx, cancel := context.WithDeadline(ctx, late)
	defer cancel()
	stream, err := conn.AcceptStream(ctx)
	if err != nil {
		_ = conn.CloseWithError(quic.ApplicationErrorCode(eventtarget.CodeProtocol.QUIC()), "no stream was opened in time")
		return
	}
	meta := hub.Meta{Transport: "quic", Addr: conn.RemoteAddr().String(), Since: l.hub.Position()}
	if pin, ok := identity.PeerPin(conn.ConnectionState().TLS); ok {
		meta.Identity = pin.String()
	}
	c := quicconn.New(conn, stream, l.limit)
	var attached link.Conn = c
	if !l.framed {
		attached = messages{c, c, c}
	}
	// A session's peer is up with the welcome, a plain one with the greeting, which is for
	// those that the hub has taken. The errors of Greet concern the connection alone: the
	// reader meets the first one again.
	session := c.Protocol() != 0
	if session {
		_ = c.Greet()
	}
	if _, err := l.hub.Attach(attached, meta); err == nil && !session {
		_ = c.Greet()
	}
}

// messages is a connection that takes messages one by one: the hub has framed them in
// another way.
type messages struct {
	link.Conn
	link.Pinger
	link.Negotiated
}
