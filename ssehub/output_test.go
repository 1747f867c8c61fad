package ssehub_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// TestIdle: a stream on which nothing is written for longer than a write may take goes on,
// and ends in order, whatever stands between.
func TestIdle(t *testing.T) {
	const timeout = 200 * time.Millisecond
	for name, c := range map[string]struct{ hidden, h2 bool }{"plain": {}, "hidden": {hidden: true}, "HTTP/2": {h2: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := make(chan eventtarget.Reason, 1)
			h, err := ssehub.New(&ssehub.Options{
				HandlerOptions: ssehub.HandlerOptions{WriteTimeout: timeout},
				Options:        hub.Options{OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { left <- r }},
			})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.hidden {
					w = hidden{w, w.(http.Flusher)}
				}
				h.ServeHTTP(w, r)
			}))
			if !c.hidden { // behind which it cannot be overruled
				server.Config.WriteTimeout = timeout / 2
			}
			server.EnableHTTP2 = c.h2
			server.StartTLS()
			t.Cleanup(func() { h.Close(); server.Close() })
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			s := &source{t: t, body: bufio.NewReader(res.Body)}
			s.block()
			select {
			case r := <-left:
				t.Fatalf("it was ended because of %v", r)
			case <-time.After(2 * timeout): // in which nothing is written
			}
			dispatch(t, h, "a", "1", "1")
			if _, rest := s.event(); rest != `event: a|data: {"type":"a","id":"1","payload":1}` {
				t.Errorf("heard %s", rest)
			}
			if err := h.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if rest, err := io.ReadAll(s.body); err != nil {
				t.Errorf("it ended with %v behind %q", err, rest)
			}
		})
	}
}

// TestServers: the same stream over HTTP/1.1, over TLS, over HTTP/2 and behind a
// middleware that hides the connection; and the client's leaving is noticed over each.
func TestServers(t *testing.T) {
	hide := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(hidden{w, w.(http.Flusher)}, r) })
	}
	for name, c := range map[string]struct {
		wrap    func(http.Handler) http.Handler
		tls, h2 bool
	}{"plain": {}, "hidden": {wrap: hide}, "TLS": {tls: true}, "HTTP/2": {tls: true, h2: true}} {
		t.Run(name, func(t *testing.T) {
			left := make(chan eventtarget.Reason, 1)
			h, err := ssehub.New(&ssehub.Options{Options: hub.Options{OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { left <- r }}})
			if err != nil {
				t.Fatal(err)
			}
			var handler http.Handler = h
			if c.wrap != nil {
				handler = c.wrap(h)
			}
			server := httptest.NewUnstartedServer(handler)
			server.EnableHTTP2 = c.h2
			if c.tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			t.Cleanup(func() { h.Close(); server.Close() })
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if c.h2 != (res.ProtoMajor == 2) || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Date") == "" {
				t.Fatalf("%s %s, %v", res.Proto, res.Status, res.Header)
			}
			s := &source{t: t, body: bufio.NewReader(res.Body)}
			s.block()
			big := strings.Repeat("x", 500_000) // more than the sockets take at once
			dispatch(t, h, "a", "1", `"`+big+`"`)
			dispatch(t, h, "a", "2", "2")
			if _, rest := s.event(); rest != `event: a|data: {"type":"a","id":"1","payload":"`+big+`"}` {
				t.Errorf("%d bytes instead of all", len(rest))
			}
			if _, rest := s.event(); rest != `event: a|data: {"type":"a","id":"2","payload":2}` {
				t.Errorf("heard %s", rest)
			}
			res.Body.Close()
			server.CloseClientConnections()
			select {
			case r := <-left:
				if !r.Remote || r.Code != eventtarget.CodeGoingAway {
					t.Errorf("it left because of %v", r)
				}
			case <-time.After(10 * time.Second):
				t.Error("nobody noticed that the client has left")
			}
		})
	}
}

// hidden is a ResponseWriter that can only be flushed.
type hidden struct {
	http.ResponseWriter
	http.Flusher
}

// TestChatter: who goes on talking behind the request is cut, and nobody else.
func TestChatter(t *testing.T) {
	left := make(chan eventtarget.Reason, 1)
	h, url := serve(t, ssehub.Options{Options: hub.Options{OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { left <- r }}})
	witness := listen(t, url, "")
	witness.block()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		for range 1000 {
			if _, err := c.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}()
	_, _ = io.Copy(io.Discard, c)
	select {
	case r := <-left:
		if r.Code != eventtarget.CodePolicy || r.Remote {
			t.Errorf("it left because of %v", r)
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on talking")
	}
	dispatch(t, h, "a", "", "1")
	if _, rest := witness.event(); rest != `event: a|data: {"type":"a","id":"","payload":1}` {
		t.Errorf("a witness heard %s", rest)
	}
}

// TestStalledResponse: a client that reads nothing is cut after the write timeout, over a
// connection of its own and over the server's writer.
func TestStalledResponse(t *testing.T) {
	for name, hides := range map[string]bool{"plain": false, "hidden": true} {
		t.Run(name, func(t *testing.T) {
			left := make(chan eventtarget.Reason, 1)
			h, err := ssehub.New(&ssehub.Options{
				Options:        hub.Options{OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { left <- r }},
				HandlerOptions: ssehub.HandlerOptions{WriteTimeout: 200 * time.Millisecond},
			})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if hides {
					w = &deadlined{hidden{w, w.(http.Flusher)}}
				}
				h.ServeHTTP(w, r)
			}))
			t.Cleanup(func() { h.Close(); server.Close() })
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			for end := time.After(20 * time.Second); ; {
				dispatch(t, h, "a", "", `"`+strings.Repeat("x", 100_000)+`"`)
				select {
				case r := <-left:
					if r.Code != eventtarget.CodeLost && r.Code != eventtarget.CodeSlow && !hides { // the server may end the request first
						t.Errorf("it left because of %v", r)
					}
					return
				case <-end:
					t.Fatal("it is still there")
				default:
				}
			}
		})
	}
}

// deadlined is hidden with the deadlines of the one below.
type deadlined struct{ hidden }

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(d.ResponseWriter).SetWriteDeadline(t)
}
