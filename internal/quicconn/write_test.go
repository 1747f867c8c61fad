package quicconn

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
)

// TestNothingFollowsACutMessage: where a write has ended in the middle of a message, nothing
// else is written. The peer would take that for the rest of the message, and count it.
func TestNothingFollowsACutMessage(t *testing.T) {
	message := bytes.Repeat([]byte{'m'}, 1<<10)
	frame := append(AppendHeader(nil, len(message)), message...)
	for name, next := range map[string]func(*Conn) error{
		"TryWriteFrames": func(c *Conn) error { _, _, err := c.TryWriteFrames(frame); return err },
		"WriteFrames":    func(c *Conn) error { return c.WriteFrames(frame) },
		"Send":           func(c *Conn) error { return c.Send(message) },
		"Ping":           (*Conn).Ping,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := connect(t)
			ended := time.AfterFunc(200*time.Millisecond, func() { _ = near.stream.SetWriteDeadline(time.Unix(1, 0)) })
			defer ended.Stop()
			err := near.WriteFrames(bytes.Repeat(frame, 500)) // more than there is a window for
			short, ok := errors.AsType[*link.ShortWrite](err)
			if !ok || short.Written == 0 {
				t.Fatalf("a write without room: %v", err)
			}
			_ = near.stream.SetWriteDeadline(time.Time{})
			receive := func() {
				t.Helper()
				if msg, err := far.Receive(); err != nil || !bytes.Equal(msg, message) {
					t.Fatalf("received %.20q, %v", msg, err)
				}
			}
			for range short.Written / len(frame) {
				receive() // and so makes room
			}
			if err := next(near); err == nil {
				t.Error("no error behind a message that was cut")
			}
			_ = near.stream.Close()
			if msg, err := far.Receive(); err == nil {
				t.Errorf("received %d bytes that nobody sent: %.20q", len(msg), msg)
			}
		})
	}
}

// connect returns both ends of a connection.
func connect(t *testing.T) (near, far *Conn) {
	t.Helper()
	key, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	who := identity.Config{Key: key, Pins: []identity.Pin{key.Pin()}}
	server, err := who.Server(PlainProtocol)
	if err != nil {
		t.Fatal(err)
	}
	client, err := who.Client(PlainProtocol)
	if err != nil {
		t.Fatal(err)
	}
	times, err := Times{}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	l, err := quic.Listen(socket, server, Config(times, 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	open := func(conn *quic.Conn, stream *quic.Stream, err error) *Conn {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
		return New(conn, stream, 1<<20)
	}
	dialled, err := quic.DialAddr(t.Context(), l.Addr().String(), client, Config(times, -1))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := dialled.OpenStreamSync(t.Context())
	near = open(dialled, stream, err)
	if err := near.Greet(); err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream, err = accepted.AcceptStream(t.Context())
	return near, open(accepted, stream, err)
}
