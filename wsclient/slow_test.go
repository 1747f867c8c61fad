package wsclient_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// pipes is a network in memory.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.conns <- far
	return near, nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.ended) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestSlowMessage: a large message over a slow network, which takes longer than a server may be
// silent, is a sign of life for as long as it comes.
func TestSlowMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn, 1), ended: make(chan struct{})}
		message := `{"type":"n","id":"","payload":"` + strings.Repeat("x", 200<<10) + `"}`
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
				base64.StdEncoding.EncodeToString(key[:]) + "\r\n\r\n"
			frame := append(binary.BigEndian.AppendUint64([]byte{0x81, 127}, uint64(len(message))), message...)
			go io.Copy(io.Discard, conn) // pings, which cannot be answered inside a frame
			_, err = conn.Write([]byte(answer))
			for ; err == nil && len(frame) > 0; frame = frame[min(len(frame), 1<<10):] {
				_, err = conn.Write(frame[:min(len(frame), 1<<10)])
				<-time.After(time.Second)
			}
			if err != nil {
				t.Errorf("the connection did not last: %v", err)
			}
			<-p.ended
		})}
		go server.Serve(p)
		heard := make(chan int, 1)
		c, err := wsclient.New("ws://server", &wsclient.Options{
			HTTPClient: &http.Client{Transport: &http.Transport{DialContext: p.dial}},
			Options: link.Options{
				OnFault: func(f eventtarget.Fault) { t.Error(f) },
				Setup: func(l *link.Link) {
					_, err := l.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
						heard <- len(e.Payload)
					}))
					if err != nil {
						t.Error(err)
					}
				},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
		case <-time.After(time.Hour):
			t.Error("nothing was heard")
		}
		c.Close()
		<-c.Done()
		p.Close()
		if err := server.Shutdown(t.Context()); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
