package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/open"
)

// get returns a page of a hub's.
func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v\n%s", url, res.Status, err, body)
	}
	return string(body)
}

// TestMetrics: what spokes do over three transports is seen by who asks the running hub.
func TestMetrics(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spoke.key")
	spoke, err := identity.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	hubFile := filepath.Join(t.TempDir(), "hub.key")
	if _, err := identity.Create(hubFile); err != nil {
		t.Fatal(err)
	}
	urls, process := startHub(t, "--quic", "127.0.0.1:0", "--key", hubFile, "--allow", spoke.Pin().String(), "--metrics", "127.0.0.1:0")
	parts := strings.Split(urls, " ")
	web, quic, metrics := parts[0], parts[1], parts[2]
	proxy, err := faultnet.NewProxy(strings.TrimSuffix(strings.TrimPrefix(web, "ws://"), "/ws"))
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	a := connect(t, web)
	b := connect(t, "ws://"+proxy.Addr+"/ws")
	var more []eventtarget.Endpoint
	for _, url := range []string{quic + "&key=" + file, "sse+http" + strings.TrimSuffix(strings.TrimPrefix(web, "ws"), "/ws") + "/sse"} {
		target, err := open.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { target.Close(); <-target.Done() }()
		if err := target.Ready(deadline(t)); err != nil {
			t.Fatal(err)
		}
		more = append(more, target)
	}
	heard := []<-chan eventtarget.Event[raw]{
		hear(t, b, eventtarget.T("chat", "*")), hear(t, more[0], eventtarget.T("chat", "*")), hear(t, more[1], eventtarget.T("chat", "*")),
	}
	say := func(eventType string) {
		t.Helper()
		if err := a.Dispatch(t.Context(), eventtarget.Event[raw]{Type: eventType, ID: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		say("chat")
		for _, c := range heard {
			next(t, c)
		}
	}
	proxy.Cut()
	say("chat")
	proxy.Heal()
	next(t, heard[0])
	say("other")
	next(t, heard[1])
	next(t, heard[2])

	await(t, metrics,
		`eventtarget_connections{state="up",transport="websocket"} 2`, `eventtarget_connections{state="up",transport="quic"} 1`,
		`eventtarget_connections{state="up",transport="sse"} 1`, `eventtarget_connections{state="down",transport="websocket"} 0`,
		`eventtarget_connects_total{transport="websocket"} 2`, `eventtarget_resumes_total{transport="websocket"} 1`,
		`eventtarget_resumes_total{transport="quic"} 0`, `eventtarget_deliveries_total{transport="sse"} 7`,
		`eventtarget_drops_total{transport="websocket"} 0`, `eventtarget_gaps_total{transport="quic"} 0`,
		`eventtarget_lag_events{transport="websocket"} 0`, `eventtarget_lag_events_max{transport="sse"} 0`,
		`eventtarget_events_total{type="chat"} 6`, `eventtarget_events_total{type="other"} 1`,
		`eventtarget_malformed_total 0`, "go_goroutines ", "process_open_fds ",
	)
	if page := get(t, strings.TrimSuffix(metrics, "/metrics")+"/debug/pprof/goroutine?debug=1"); !strings.Contains(page, "goroutine profile:") {
		t.Errorf("the profile is %q", page)
	}
	more[1].Close()
	await(t, metrics, `eventtarget_connections{state="up",transport="sse"} 0`, `eventtarget_deliveries_total{transport="sse"} 7`, `eventtarget_disconnects_total{reason="`)
	if process.ProcessState != nil {
		t.Errorf("the hub has ended: %v", process.ProcessState)
	}
	// What is private is not served where the spokes connect.
	public := "http" + strings.TrimSuffix(strings.TrimPrefix(web, "ws"), "/ws")
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		res, err := http.Get(public + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if strings.Contains(string(body), "eventtarget_") || strings.Contains(string(body), "goroutine") {
			t.Errorf("%s is public", path)
		}
	}
}

// TestFaultsOfTheJoined: what goes wrong with what a hub is joined with is counted, too.
func TestFaultsOfTheJoined(t *testing.T) {
	far := runHub(t, t.TempDir(), "relay: true\n")
	way, err := faultnet.NewProxy(strings.TrimSuffix(strings.TrimPrefix(far.urls[0], "ws://"), "/ws"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.Close)
	file := filepath.Join(t.TempDir(), "hub.yaml")
	if err := os.WriteFile(file, []byte("bridges:\n  - url: ws://"+way.Addr+"/ws\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	urls, _ := startHub(t, "--config", file, "--metrics", "127.0.0.1:0")
	_, metrics, _ := strings.Cut(urls, " ")
	way.Cut()
	await(t, metrics, `eventtarget_faults_total{adapter="wsclient",kind="disconnected"} `)
}

// TestUnauthorizedIsCounted: who guesses tokens is seen, whatever is asked for.
func TestUnauthorizedIsCounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hub.yaml")
	if err := os.WriteFile(file, []byte("tokens:\n  - identity: ann\n    token-env: ANN\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ANN", "a-good-token-of-ann")
	urls, _ := startHub(t, "--config", file, "--metrics", "127.0.0.1:0")
	web, metrics, _ := strings.Cut(urls, " ")
	base := "http" + strings.TrimSuffix(strings.TrimPrefix(web, "ws"), "/ws")
	for n, c := range []struct {
		token string
		want  int
	}{{"Bearer guess", http.StatusUnauthorized}, {"", http.StatusUnauthorized}, {"Bearer a-good-token-of-ann", http.StatusOK}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/sse", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", c.token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("request %d: %s", n, res.Status)
		}
	}
	await(t, metrics, "eventtarget_unauthorized_total 2")
}

// await asks until a page has all of these, at the beginning of a line.
func await(t *testing.T, url string, want ...string) {
	t.Helper()
	ctx := deadline(t)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		page := "\n" + get(t, url)
		missing := ""
		for _, w := range want {
			if !strings.Contains(page, "\n"+w) {
				missing += fmt.Sprintln(w)
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s lacks\n%sand has\n%s", url, missing, page)
		}
	}
}
