package metrics

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// scrape returns what the handler shows, a line each.
func scrape(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	found := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if i := strings.LastIndexByte(line, ' '); line[0] != '#' && i > 0 {
			found[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return found
}

// TestBounded: whoever makes up types of topics makes no series without end.
func TestBounded(t *testing.T) {
	m := New()
	for n := range 10 * maxTypes {
		for range 2 {
			m.count(fmt.Sprint("t", n))
		}
	}
	series := 0
	for name := range scrape(t, m) {
		if strings.HasPrefix(name, "eventtarget_events_total{") {
			series++
		}
	}
	seen := scrape(t, m)
	if series != maxTypes+1 || seen[`eventtarget_events_total{type="t99"}`] != "2" || seen[`eventtarget_events_total{type=""}`] != "1800" {
		t.Errorf("there are %d series; t99 %s, others %s", series, seen[`eventtarget_events_total{type="t99"}`], seen[`eventtarget_events_total{type=""}`])
	}
}

// TestOwnHost: a page whose name leads to this machine reads neither metrics nor profiles.
func TestOwnHost(t *testing.T) {
	server := httptest.NewServer(New().Handler())
	defer server.Close()
	for host, want := range map[string]int{"evil.example": http.StatusForbidden, "localhost:9090": http.StatusOK, "": http.StatusOK} {
		for _, path := range []string{"/metrics", "/debug/pprof/cmdline"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s of %q: %d, want %d", path, host, res.StatusCode, want)
			}
		}
	}
}

// TestSlow: a spoke that does not read is seen to lag, then to lose events and to be
// told; when it has left its counters stay.
func TestSlow(t *testing.T) {
	m := New()
	left := make(chan eventtarget.Reason, 1)
	h, err := wsserver.New(&wsserver.Options{Options: m.Options(hub.Options{
		Overflow: eventtarget.DropOldest, LogBytes: 1 << 20, WriteTimeout: time.Minute, OnFault: func(f eventtarget.Fault) { t.Log(f) },
		OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { left <- r },
	})})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer func() { h.Close(); <-h.Done() }()
	if err := m.Watch(t.Context(), h.Hub); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"type":"hello","id":"1"}`)); err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{}, 1)
	if _, err := h.Add(ctx, eventtarget.T("hello", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[eventtarget.Raw]) { heard <- struct{}{} })); err != nil {
		t.Fatal(err)
	}
	const dispatched = 300
	payload := eventtarget.Raw(`"` + strings.Repeat("x", 100_000) + `"`)
	for range dispatched { // more than the log and the buffers on the way hold
		if err := h.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "big", Payload: payload}); err != nil {
			t.Fatal(err)
		}
	}
	if lag := scrape(t, m)[`eventtarget_lag_events_max{transport="websocket"}`]; lag == "" || lag == "0" {
		t.Errorf("it lags by %q", lag)
	}
	// Reads everything. How often it is told depends on how much the kernel takes meanwhile.
	var got, gaps, lost uint64
	for got+lost < dispatched {
		_, msg, err := ws.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Type    string
			Payload json.RawMessage
		}
		var gap struct{ Count uint64 }
		if err := json.Unmarshal(msg, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "__gap" {
			got++
			continue
		}
		if err := json.Unmarshal(e.Payload, &gap); err != nil || gap.Count == 0 {
			t.Fatalf("%s: %v", msg, err)
		}
		gaps++
		lost += gap.Count
	}
	if got+lost != dispatched || gaps == 0 {
		t.Errorf("got %d of %d, and %d gaps of %d", got, dispatched, gaps, lost)
	}
	seen := scrape(t, m)
	drops := seen[`eventtarget_drops_total{transport="websocket"}`]
	if drops != fmt.Sprint(lost) || seen[`eventtarget_gaps_total{transport="websocket"}`] != fmt.Sprint(gaps) ||
		seen[`eventtarget_connections{state="up",transport="websocket"}`] != "1" || seen[`eventtarget_events_total{type="hello"}`] != "1" {
		t.Errorf("%d gaps of %d; seen: %v", gaps, lost, seen)
	}
	if err := ws.CloseNow(); err != nil {
		t.Fatal(err)
	}
	<-left
	seen = scrape(t, m)
	if seen[`eventtarget_drops_total{transport="websocket"}`] != drops || seen[`eventtarget_connections{state="up",transport="websocket"}`] != "0" ||
		seen[`eventtarget_disconnects_total{reason="connection lost",transport="websocket"}`] != "1" || seen[`eventtarget_faults_total{adapter="wsserver",kind="disconnected"}`] != "1" {
		t.Errorf("after it has left: %v", seen)
	}
}
