package quicspoke_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// TestShortWrite: when a connection breaks in the middle of a write of many events, those that
// did not leave come over the next, without a session too.
func TestShortWrite(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	security, err := identity.Config{Key: newKey(), Insecure: true}.Server(quicconn.Protocols(false)...)
	if err != nil {
		t.Fatal(err)
	}
	const window, size, events, read = 16 << 10, 1000, 100, 30
	l, err := quic.ListenAddr("127.0.0.1:0", security, &quic.Config{
		InitialStreamReceiveWindow: window, MaxStreamReceiveWindow: window,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s, err := quicspoke.New(l.Addr().String(), &quicspoke.Options{
		Identity: identity.Config{Key: newKey(), Insecure: true}, Plain: true,
		Options: link.Options{Backoff: link.Backoff{Max: 50 * time.Millisecond}, OnFault: func(eventtarget.Fault) {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close(); <-s.Done() }()
	for i := range events {
		e := eventtarget.Event[eventtarget.Raw]{Type: "a", ID: fmt.Sprintf("number-%03d", i), Payload: eventtarget.Raw(`"` + strings.Repeat("x", size) + `"`)}
		if err := s.Dispatch(ctx, e); err != nil {
			t.Fatal(err)
		}
	}

	conn, stream := welcome(ctx, t, l)
	for i := range read {
		if got := number(t, stream); got != i {
			t.Fatalf("event %d comes in the place of %d", got, i)
		}
	}
	if err := conn.CloseWithError(quic.ApplicationErrorCode(eventtarget.CodeRestart.QUIC()), ""); err != nil {
		t.Fatal(err)
	}
	conn, stream = welcome(ctx, t, l)
	if got := number(t, stream); got < read || got > read+window/size {
		t.Errorf("the second connection begins with event %d: of the first %d were read, and it had room for %d more", got, read, window/size)
	}
	if err := conn.CloseWithError(quic.ApplicationErrorCode(eventtarget.CodeNormal.QUIC()), ""); err != nil {
		t.Fatal(err)
	}
}

// welcome lets a spoke in.
func welcome(ctx context.Context, t *testing.T, l *quic.Listener) (*quic.Conn, *quic.Stream) {
	t.Helper()
	conn, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := conn.AcceptStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	deadline, _ := ctx.Deadline()
	if err := stream.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write(quicconn.AppendHeader(nil, 0)); err != nil {
		t.Fatal(err)
	}
	return conn, stream
}

// number reads the next message that is not empty, and returns which event it is.
func number(t *testing.T, r io.Reader) (n int) {
	t.Helper()
	for {
		header := make([]byte, 4)
		if _, err := io.ReadFull(r, header); err != nil {
			t.Fatal(err)
		}
		body := make([]byte, binary.BigEndian.Uint32(header))
		if _, err := io.ReadFull(r, body); err != nil {
			t.Fatal(err)
		}
		if len(body) == 0 {
			continue
		}
		_, text, _ := strings.Cut(string(body), "number-")
		if _, err := fmt.Sscanf(text, "%3d", &n); err != nil {
			t.Fatalf("%.60s: %v", body, err)
		}
		return n
	}
}
