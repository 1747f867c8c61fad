package wsserver_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// upgrade asks for an upgrade and returns the status of the answer.
func upgrade(t *testing.T, url string, host string, header http.Header) (status int, text string) {
	t.Helper()
	ws, res, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Host: host, HTTPHeader: header})
	if err == nil {
		t.Cleanup(func() { ws.CloseNow() })
	}
	if res == nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		b := make([]byte, 200)
		n, _ := res.Body.Read(b)
		text = strings.TrimSpace(string(b[:n]))
	}
	return res.StatusCode, text
}

func TestAuthenticate(t *testing.T) {
	type room struct{}
	h, url := newHub(t, wsserver.Options{
		Authenticate: func(r *http.Request) (hub.Grant, error) {
			switch r.URL.Path {
			case "/ann":
				return hub.Grant{Identity: "ann", Values: map[any]any{room{}: "lobby"}}, nil
			case "/teapot":
				return hub.Grant{}, &wsserver.Refusal{Status: http.StatusTeapot, Text: "short and stout"}
			case "/asked":
				return hub.Grant{}, fmt.Errorf("the bus that was asked: %w", eventtarget.ErrClosed)
			default:
				return hub.Grant{}, errors.New("the database says no")
			}
		},
		Options: hub.Options{OnConnect: func(s *hub.Spoke) {
			if s.Identity() != "ann" || s.Value(room{}) != "lobby" {
				t.Errorf("%q, %v", s.Identity(), s.Value(room{}))
			}
		}},
	})
	for path, want := range map[string]string{"/teapot": "418 short and stout", "/nobody": "401 unauthorized", "/asked": "401 unauthorized", "/ann": "101 "} {
		status, text := upgrade(t, url+path, "", nil)
		if got := fmt.Sprintf("%d %s", status, text); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if h.Len() > 1 {
		t.Errorf("%d spokes: a refused one is there", h.Len())
	}
	c, err := wsclient.New(url+"/nobody", &wsclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ready(t.Context()); !errors.Is(err, eventtarget.ErrForbidden) {
		t.Errorf("a client that is not let in: %v", err)
	}
}

// TestHost: a page whose name was made to point to a hub on this machine is refused.
func TestHost(t *testing.T) {
	_, url := newHub(t, wsserver.Options{})
	_, named := newHub(t, wsserver.Options{Hosts: []string{"hub.example"}})
	_, anyHost := newHub(t, wsserver.Options{Hosts: []string{"*"}})
	_, proxied := newHub(t, wsserver.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	for _, c := range []struct {
		url, host string
		want      int
	}{
		{url, "", 101}, {url, "localhost:7", 101}, {url, "[::1]:7", 101}, {url, "127.9.9.9", 101},
		{url, "evil.example", 403}, {url, "evil.example:80", 403}, {url, "192.0.2.1", 403}, {url, "localhost.evil.example", 403},
		{named, "hub.example:80", 101}, {named, "HUB.example", 101}, {named, "localhost", 403}, {anyHost, "evil.example", 101},
		{proxied, "hub.example", 101},
	} {
		if status, text := upgrade(t, c.url, c.host, nil); status != c.want {
			t.Errorf("host %q: %d %s, want %d", c.host, status, text, c.want)
		}
	}
}

func TestConnectionLimits(t *testing.T) {
	h, url := newHub(t, wsserver.Options{Options: hub.Options{SpokesPerAddr: 2}})
	for range 2 {
		if status, _ := upgrade(t, url, "", nil); status != 101 {
			t.Fatal(status)
		}
	}
	for late := time.After(20 * time.Second); h.Len() < 2; { // a peer is answered before it is counted
		select {
		case <-late:
			t.Fatal("two peers are not counted")
		default:
			runtime.Gosched()
		}
	}
	if status, text := upgrade(t, url, "", nil); status != 503 || text != "too many connections" {
		t.Errorf("%d %q", status, text)
	}
	if h.Len() != 2 {
		t.Errorf("%d spokes", h.Len())
	}
}

func TestTrustedProxies(t *testing.T) {
	addrs := make(chan string, 1)
	_, url := newHub(t, wsserver.Options{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")},
		Options:        hub.Options{OnConnect: func(s *hub.Spoke) { addrs <- s.Addr() }},
	})
	for forwarded, want := range map[string]string{
		"192.0.2.7":                       "192.0.2.7",
		"6.6.6.6, 192.0.2.7, 10.1.2.3":    "192.0.2.7", // what a client wrote itself stands before
		"2001:db8::1":                     "2001:db8::1",
		"6.6.6.6, nonsense, 10.1.2.3":     "127.0.0.1:", // nobody to be believed
		"":                                "127.0.0.1:",
		"10.9.9.9, 10.1.2.3":              "127.0.0.1:",
		"192.0.2.7, ::ffff:10.0.0.1":      "192.0.2.7",
		"192.0.2.7,10.1.2.3,192.0.2.8   ": "192.0.2.8",
	} {
		if status, text := upgrade(t, url, "", http.Header{"X-Forwarded-For": {forwarded}}); status != 101 {
			t.Fatal(status, text)
		}
		if got := <-addrs; got != want && (!strings.HasSuffix(want, ":") || !strings.HasPrefix(got, want)) {
			t.Errorf("%q: %s, want %s", forwarded, got, want)
		}
	}
	// From elsewhere the header is anybody's.
	_, url = newHub(t, wsserver.Options{Options: hub.Options{OnConnect: func(s *hub.Spoke) { addrs <- s.Addr() }}})
	upgrade(t, url, "", http.Header{"X-Forwarded-For": {"192.0.2.7"}})
	if got := <-addrs; !strings.HasPrefix(got, "127.0.0.1:") {
		t.Error(got)
	}
}

// TestNoPhantom: a request that is no upgrade, or that cannot be upgraded, leaves no
// spoke (law C23).
func TestNoPhantom(t *testing.T) {
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{OnConnect: func(*hub.Spoke) { t.Error("a spoke") }}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for name, change := range map[string]func(r *http.Request){
		"plain GET":           func(r *http.Request) { r.Header = http.Header{} },
		"POST":                func(r *http.Request) { r.Method = http.MethodPost },
		"old version":         func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") },
		"bad key":             func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "x") },
		"foreign origin":      func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"HTTP/1.0":            func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 1, 0 },
		"connection is close": func(r *http.Request) { r.Header.Set("Connection", "close") },
	} {
		r := httptest.NewRequest(http.MethodGet, "http://hub.example/", nil)
		r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
		change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 || h.Len() != 0 {
			t.Errorf("%s: %d, %d spokes", name, w.Code, h.Len())
		}
	}
}
