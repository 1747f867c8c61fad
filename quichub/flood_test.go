package quichub_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// tap is a socket that sees the Retry packets that it receives (RFC 9000 §17.2.5). It
// has no methods that read many packets at once.
type tap struct {
	net.PacketConn
	retried atomic.Bool
}

// SetReadBuffer and SetWriteBuffer spare warnings.
func (c *tap) SetReadBuffer(n int) error  { return c.PacketConn.(*net.UDPConn).SetReadBuffer(n) }
func (c *tap) SetWriteBuffer(n int) error { return c.PacketConn.(*net.UDPConn).SetWriteBuffer(n) }

func (c *tap) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.PacketConn.ReadFrom(b)
	if n > 0 && b[0]&0xf0 == 0xf0 {
		c.retried.Store(true)
	}
	return n, addr, err
}

// dialFrom connects a peer from an address and tells whether it had to try again.
func dialFrom(t *testing.T, from string, to net.Addr) (conn *quic.Conn, retried bool, err error) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)})
	if err != nil {
		t.Fatal(err)
	}
	c := &tap{PacketConn: socket}
	transport := &quic.Transport{Conn: c}
	t.Cleanup(func() {
		transport.Close()
		socket.Close()
	})
	security, err := forHub().Client(quicconn.PlainProtocol)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err = transport.Dial(ctx, to, security, nil)
	return conn, c.retried.Load(), err
}

// TestRetry: with nothing to do the hub asks nobody for a round trip more; when many
// are in their handshake it does, and who can answer gets in.
func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		above, waiting int
		want           bool
	}{
		"idle": {0, 0, false}, "always": {-1, 0, true}, "few": {0, 60, false}, "many": {0, 64, true}, "more than asked": {2, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, quichub.Options{
				Options:         hub.Options{OnFault: quiet},
				ListenerOptions: quichub.ListenerOptions{RetryAbove: c.above, HandshakeTimeout: time.Minute}, // none is given up before the last has come
			})
			wait(t, h.Addr(), c.waiting)
			conn, retried, err := dialFrom(t, "127.0.0.1", h.Addr())
			if err != nil || retried != c.want {
				t.Fatalf("tried again: %v, %v; want %v", retried, err, c.want)
			}
			conn.CloseWithError(0, "")
		})
	}
}

// wait leaves n peers in their handshake: they hear nothing of what the hub answers.
func wait(t *testing.T, hub net.Addr, n int) {
	t.Helper()
	for range n {
		relay, err := faultnet.NewRelay(hub.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(relay.Close)
		relay.Stall(faultnet.ToClient)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if _, _, err := dialRaw(ctx, relay.Addr, quicconn.PlainProtocol); err == nil {
				t.Error("the peer is through")
			}
		}()
		t.Cleanup(func() {
			cancel()
			<-ended
		})
		tick := time.NewTicker(time.Millisecond)
		for relay.Counts().Lost == 0 { // until the hub has answered
			<-tick.C
		}
		tick.Stop()
	}
}

// TestLateStream: a peer that takes long for its handshake, and opens no stream then, has no
// more time for both together than one that does only one of them.
func TestLateStream(t *testing.T) {
	t.Parallel()
	const whole, most = 10 * time.Second, 12 * time.Second // it was 14 s
	h := newHub(t, quichub.Options{
		Options:         hub.Options{OnFault: quiet},
		ListenerOptions: quichub.ListenerOptions{HandshakeTimeout: whole},
	})
	security, err := forHub().Client(quicconn.PlainProtocol)
	if err != nil {
		t.Fatal(err)
	}
	verify := security.VerifyConnection
	security.VerifyConnection = func(cs tls.ConnectionState) error {
		<-time.After(whole * 2 / 5) // half of it without a packet, on a busy machine too, ends the handshake
		return verify(cs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), whole)
	defer cancel()
	begin := time.Now()
	conn, err := quic.DialAddr(ctx, h.Addr().String(), security, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-conn.Context().Done()
	if took := time.Since(begin); took < whole*9/10 || took > most {
		t.Errorf("the hub has waited for %v, want %v", took, whole)
	}
}

// TestConnsPerPrefix: a network has its bound, another one is not concerned, and who
// leaves makes room.
func TestConnsPerPrefix(t *testing.T) {
	h := newHub(t, quichub.Options{
		Options:         hub.Options{OnFault: quiet},
		ListenerOptions: quichub.ListenerOptions{ConnsPerPrefix: 3},
	})
	var conns []*quic.Conn
	for i, from := range []string{"127.0.0.1", "127.0.0.200", "127.0.0.1"} {
		conn, retried, err := dialFrom(t, from, h.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if want := i == 2; retried != want { // the second half must be what it says
			t.Errorf("connection %d tried again: %v", i, retried)
		}
		conns = append(conns, conn)
	}
	_, _, err := dialFrom(t, "127.0.0.7", h.Addr())
	if e, ok := errors.AsType[*quic.TransportError](err); !ok || e.ErrorCode != quic.ConnectionRefused || !e.Remote {
		t.Errorf("over the bound: %v", err)
	}
	if _, _, err := dialFrom(t, "127.0.1.1", h.Addr()); err != nil {
		t.Errorf("from another network: %v", err)
	}
	conns[0].CloseWithError(0, "")
	// A spoke that was refused is there as soon as there is room.
	s := newSpoke(t, h.Addr().String(), quicspoke.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Error(err)
	}
	if _, err := quichub.Listen("127.0.0.1:0", &quichub.Options{ListenerOptions: quichub.ListenerOptions{Identity: forSpokes(), ConnsPerPrefix: -1}}); err == nil {
		t.Error("a negative bound is no error")
	}
}
