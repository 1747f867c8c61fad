package httpgate_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/internal/httpgate"
)

// TestAllowedOrigin: what is allowed, and that a WebSocket is allowed the same.
func TestAllowedOrigin(t *testing.T) {
	const host = "hub.example:8080"
	for _, c := range []struct {
		origin   string
		patterns []string
		want     bool
	}{
		{"", nil, true},
		{"http://hub.example:8080", nil, true},
		{"https://HUB.example:8080", nil, true},
		{"http://hub.example", nil, false},
		{"https://hub.example:8080.evil.example", nil, false},
		{"https://evil.example", nil, false},
		{"null", nil, false},
		{"https://[", []string{"*", "*://*"}, false},
		{"evil.example", []string{"good.example"}, false},

		{"https://good.example", []string{"good.example"}, true},
		{"http://Good.Example", []string{"gooD.examplE"}, true},
		{"https://good.example:444", []string{"good.example"}, false},
		{"https://good.example:444", []string{"good.example:*"}, true},
		{"https://good.example.evil.example", []string{"good.example"}, false},
		{"https://a.good.example", []string{"good.example"}, false},
		{"https://a.good.example", []string{"*.good.example"}, true},
		{"https://good.example", []string{"b.example", "good.example"}, true},

		{"https://good.example", []string{"https://good.example"}, true},
		{"http://good.example", []string{"https://good.example"}, false},
		{"HTTPS://good.example", []string{"https://good.example"}, true},
		{"https://a.good.example", []string{"https://*.good.example"}, true},
		{"https://good.example/path", []string{"https://good.example"}, true},
		{"https://good.example@evil.example", []string{"https://good.example*"}, false},

		{"https://any.example", []string{"*"}, true},
		{"https://any.example", []string{"*://*"}, true},
		{"null", []string{"*"}, true},
		{"null", []string{"*://*"}, true},
		{"https://good.example", []string{"[", "good.example"}, false},
		{"https://good.example", []string{"good.example", "["}, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if got := httpgate.AllowedOrigin(r, c.patterns); got != c.want {
				t.Errorf("%q with %q: %t", c.origin, c.patterns, got)
			}
			ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: c.patterns})
			if err == nil {
				_ = ws.CloseNow()
			}
			if got := err == nil; got != c.want {
				t.Errorf("%q with %q: %t for a WebSocket: %v", c.origin, c.patterns, got, err)
			}
		}))
		header := http.Header{}
		if c.origin != "" {
			header.Set("Origin", c.origin)
		}
		ws, res, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{Host: host, HTTPHeader: header})
		if err == nil {
			_ = ws.CloseNow()
		}
		if res == nil {
			t.Errorf("%q with %q: not asked: %v", c.origin, c.patterns, err)
		}
		server.Close()
	}
}
