package web_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/web"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

func get(t *testing.T, method, url string, set func(r *http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func serve(t *testing.T) (*wsserver.Hub, *httptest.Server) {
	t.Helper()
	h, err := wsserver.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", h)
	mux.Handle("/sse", ssehub.NewHandler(h.Hub, ssehub.HandlerOptions{}))
	mux.Handle("/", web.NewLive(h.Hub))
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		_ = h.Close()
		server.Close()
	})
	return h, server
}

func TestFiles(t *testing.T) {
	_, server := serve(t)
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/live.js": "text/javascript; charset=utf-8",
		"/live.css": "text/css; charset=utf-8", "/eventtarget.js": "text/javascript; charset=utf-8",
	} {
		res, body := get(t, http.MethodGet, server.URL+path, nil)
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != kind || len(body) < 1000 ||
			res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %s, %v, %d bytes", path, res.Status, res.Header, len(body))
		}
		tag := res.Header.Get("ETag")
		if res, body := get(t, http.MethodGet, server.URL+path, func(r *http.Request) { r.Header.Set("If-None-Match", tag) }); res.StatusCode != http.StatusNotModified || body != "" {
			t.Errorf("%s again: %s", path, res.Status)
		}
		if res, _ := get(t, http.MethodPost, server.URL+path, nil); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") == "" {
			t.Errorf("POST %s: %s", path, res.Status)
		}
	}
	res, body := get(t, http.MethodGet, server.URL, nil)
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	for _, inline := range []string{"<script>", "<style", " style=", "onclick", "http://", "https://"} {
		if strings.Contains(body, inline) {
			t.Errorf("the page has %s", inline)
		}
	}
	if res, _ := get(t, http.MethodGet, server.URL+"/none", nil); res.StatusCode != http.StatusNotFound {
		t.Errorf("what there is not: %s", res.Status)
	}
	if res, _ := get(t, http.MethodGet, server.URL+"/eventtarget.js", nil); res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("pages of other origins cannot load the module")
	}
}

// TestHost: a page of another name that leads to this machine learns nothing.
func TestHost(t *testing.T) {
	_, server := serve(t)
	for host, want := range map[string]int{"evil.example": 403, "localhost": 200, "127.0.0.1:1": 200, "[::1]": 200} {
		res, _ := get(t, http.MethodGet, server.URL+"/spokes", func(r *http.Request) { r.Host = host })
		if res.StatusCode != want {
			t.Errorf("%s: %s", host, res.Status)
		}
	}
}

func TestSpokes(t *testing.T) {
	h, server := serve(t)
	c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/sse?topic=a:1&topic=b:*", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var told struct {
		Count  int
		Spokes []struct {
			Addr, Transport, Identity, State string
			Topics                           []string
		}
	}
	_, body := get(t, http.MethodGet, server.URL+"/spokes", nil)
	if err := json.Unmarshal([]byte(body), &told); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if told.Count != 2 || len(told.Spokes) != 2 || h.Len() != 2 {
		t.Fatalf("told %+v of %d", told, h.Len())
	}
	ws, sse := told.Spokes[0], told.Spokes[1]
	slices.Sort(sse.Topics)
	if ws.Transport != "websocket" || ws.State != "up" || !slices.Equal(ws.Topics, []string{"*"}) || !strings.HasPrefix(ws.Addr, "127.0.0.1:") ||
		sse.Transport != "sse" || !slices.Equal(sse.Topics, []string{"a:1", "b:*"}) {
		t.Errorf("told %+v", told.Spokes)
	}
}
