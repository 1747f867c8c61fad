package wsconn_test

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wsconn"
)

// TestCutShort: a message that the connection ends in is none, wherever that is, and one that is
// whole is received although the connection ends behind it.
func TestCutShort(t *testing.T) {
	for _, size := range []int{0, 1, 100, 4096, 5000, 20_000} {
		header := []byte{0x81, byte(size)}
		if size > 125 {
			header = []byte{0x81, 126, byte(size >> 8), byte(size)}
		}
		frame := append(header, strings.Repeat("x", size)...)
		for _, n := range []int{0, 1, len(header), len(header) + 1, len(header) + 4096, len(frame) - 1, len(frame)} {
			if n > len(frame) {
				continue
			}
			t.Run(fmt.Sprintf("%d bytes of %d", n, len(frame)), func(t *testing.T) {
				c := wsconn.New(serve(t, func(far net.Conn) { _, _ = far.Write(frame[:n]) }), 1<<20)
				msg, err := c.Receive()
				if n == len(frame) {
					if err != nil || len(msg) != size {
						t.Fatalf("received %d bytes, %v", len(msg), err)
					}
					_, err = c.Receive()
				}
				if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != eventtarget.CodeLost {
					t.Errorf("received %d bytes, %v", len(msg), err)
				}
			})
		}
	}
}

// TestNothingBehindClose: a connection that is being closed brings no message any more: the library
// reads then, too, and of one that both read nobody has the whole.
func TestNothingBehindClose(t *testing.T) {
	closing := make(chan struct{})
	c := wsconn.New(serve(t, func(far net.Conn) {
		<-closing
		if _, err := far.Read(make([]byte, 1)); err != nil { // of the close frame
			t.Error(err)
		}
		go func() { _, _ = io.Copy(io.Discard, far) }() // the rest
		_, _ = far.Write([]byte("\x81\x05hello"))
	}), 1<<20)
	go func() {
		_ = c.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
		close(closing)
	}()
	msg, err := c.Receive()
	if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != eventtarget.CodeLost {
		t.Errorf("received %q, %v", msg, err)
	}
}

// serve returns a client's end of a connection, with what happens at the other one until it ends.
func serve(t *testing.T, then func(far net.Conn)) *websocket.Conn {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })
	go func() {
		defer far.Close()
		r, err := http.ReadRequest(bufio.NewReader(far))
		if err != nil {
			t.Error(err)
			return
		}
		key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(far, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(key[:]))
		then(far)
	}()
	ws, _, err := websocket.Dial(t.Context(), "ws://localhost", &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}
