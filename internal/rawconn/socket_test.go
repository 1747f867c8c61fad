//go:build unix && !eventtarget_portable

package rawconn_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/internal/rawconn"
)

// pair returns a socket and the other end of its connection.
func pair(tb testing.TB) (rawconn.Socket, net.Conn) {
	tb.Helper()
	s, _, far := connected(tb)
	return s, far
}

// connected returns a socket, its connection, and the other end of that.
func connected(tb testing.TB) (s rawconn.Socket, near, far net.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { near.Close(); far.Close() })
	return rawconn.NewSocket(near), near, far
}

// TestTryWrite: what a socket took is what the other end reads, and a full one takes
// nothing and does not wait.
func TestTryWrite(t *testing.T) {
	w, far := pair(t)
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i)
	}
	var err error
	total := 0
	for n := len(chunk); n > 0; total += n {
		if n, err = w.TryWrite(chunk[total%256:]); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]byte, total)
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	for i, b := range got {
		if b != byte(i) {
			t.Fatalf("byte %d is %d", i, b)
		}
	}
	far.Close()
	for late := time.Now().Add(10 * time.Second); err == nil; _, err = w.TryWrite(chunk) {
		if time.Now().After(late) {
			t.Fatal("to write to who has gone is no error")
		}
	}
}

func BenchmarkTryWrite(b *testing.B) {
	w, far := pair(b)
	go func() { _, _ = io.Copy(io.Discard, far) }()
	msg := make([]byte, 168)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.TryWrite(msg); err != nil {
			b.Fatal(err)
		}
	}
}
