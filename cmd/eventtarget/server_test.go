package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
)

// single is a listener with one connection.
type single chan net.Conn

func (l single) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l single) Close() error {
	close(l)
	return nil
}

func (l single) Addr() net.Addr { return &net.TCPAddr{} }

// TestSlowRequest: who begins a request and does not go on, or makes no other one, holds no
// connection for ever.
func TestSlowRequest(t *testing.T) {
	for name, said := range map[string]string{
		"a body that does not come":   "POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\n{",
		"one that nobody reads":       "GET / HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\n",
		"a request that is not there": "GET / HTTP/1.1\r\nHost: hub\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &daemon{config: &config.Config{}, log: slog.New(slog.DiscardHandler)}
				server := d.newServer(func(_ http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						_, _ = io.ReadAll(r.Body)
					}
				})
				near, far := net.Pipe()
				l := make(single, 1)
				l <- far
				go func() { _ = server.Serve(l) }()
				defer server.Close()
				defer near.Close()
				if err := near.SetDeadline(time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(near, said); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				if _, err := io.Copy(io.Discard, near); err != nil || time.Since(begun) > time.Minute {
					t.Errorf("it ends after %v: %v", time.Since(begun), err)
				}
			})
		})
	}
}
