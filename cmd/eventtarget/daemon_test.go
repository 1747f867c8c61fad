package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// post posts an event with a token and returns the status; 0 means that nobody answers.
func post(t *testing.T, url, token, body string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

// beside returns the URL of something that stands beside /ws.
func beside(wsURL, path string) string {
	return strings.TrimSuffix(strings.Replace(wsURL, "ws", "http", 1), "/ws") + path
}

// TestTermDrains: what the hub has accepted when it is told to end, everyone hears.
func TestTermDrains(t *testing.T) {
	hub := runHub(t, t.TempDir(), "drain-timeout: 20s\n")
	const listeners = 50
	var counts [listeners]int
	clients := make([]eventtarget.Endpoint, listeners)
	for i := range clients {
		c, _ := come(t, hub.urls[0], "")
		if _, err := c.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) { counts[i]++ })); err != nil {
			t.Fatal(err)
		}
		clients[i] = c
	}
	accepted := 0
	for ; accepted < 100_000; accepted++ {
		if accepted == 500 {
			hub.signal(syscall.SIGTERM)
		}
		if status := post(t, beside(hub.urls[0], "/dispatch"), "", `{"type":"n","id":"","payload":`+strconv.Itoa(accepted)+`}`); status != http.StatusAccepted {
			break
		}
	}
	if err := hub.end(); err != nil {
		t.Errorf("the hub ended with %v", err)
	}
	if accepted < 500 {
		t.Fatalf("only %d events were accepted", accepted)
	}
	for i, c := range clients {
		// A client whose hub has gone drains what it has heard; it cannot say goodbye.
		_ = c.Shutdown(deadline(t))
		<-c.Done()
		if counts[i] != accepted {
			t.Errorf("listener %d heard %d of %d events", i, counts[i], accepted)
		}
	}
}

// TestRules: who may what holds over WebSocket, server-sent events and POST.
func TestRules(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "ann.token", "ann-"+token)
	hub := runHub(t, dir, "tokens:\n  - identity: ann\n    token-file: DIR/ann.token\n  - identity: bob\n    token-env: BOB\n"+
		"anonymous: true\ntoken-parameter: t\norigins: [\"https://*.example\"]\n"+
		"topics:\n  - topic: \"news:*\"\n    subscribe: [\"*\"]\n    dispatch: [\"?*\"]\n  - topic: \"admin:*\"\n    subscribe: [ann]\n    dispatch: [ann]\n",
		"BOB=bob-"+token)
	dispatch, stream := beside(hub.urls[0], "/dispatch"), beside(hub.urls[0], "/sse")
	for _, c := range []struct {
		who, body string
		want      int
	}{
		{"ann-" + token, `{"type":"admin","id":"1"}`, http.StatusAccepted},
		{"bob-" + token, `{"type":"admin","id":"1"}`, http.StatusForbidden},
		{"bob-" + token, `{"type":"news","id":"1"}`, http.StatusAccepted},
		{"eve-" + token, `{"type":"news","id":"1"}`, http.StatusUnauthorized},
	} {
		if got := post(t, dispatch, c.who, c.body); got != c.want {
			t.Errorf("%s posts %s: %d, want %d", c.who, c.body, got, c.want)
		}
	}
	for _, c := range []struct {
		url, origin string
		want        int
	}{
		{stream + "?topic=news:*", "", http.StatusOK},
		{stream + "?topic=news:*", "https://a.example", http.StatusOK},
		{stream + "?topic=news:*", "https://a.evil", http.StatusForbidden},
		{beside(hub.urls[0], "/ws"), "https://a.evil", http.StatusForbidden},
		{beside(hub.urls[0], "/ws"), "https://a.example", http.StatusUpgradeRequired},
	} {
		ctx, cancel := context.WithCancel(deadline(t))
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != c.want {
			t.Errorf("GET %s from %q: %d, want %d", c.url, c.origin, res.StatusCode, c.want)
		}
		cancel()
		res.Body.Close()
	}
	ann, _ := come(t, hub.urls[0]+"?t=ann-"+token, "")
	heard := hear(t, ann, eventtarget.T("admin", "*"))
	if got := post(t, dispatch, "ann-"+token, `{"type":"admin","id":"2"}`); got != http.StatusAccepted {
		t.Errorf("ann posts: %d", got)
	}
	if e := next(t, heard); e.ID != "2" {
		t.Errorf("ann heard %v", e)
	}
	out, errs, err := run(t, "", "dispatch", hub.urls[0]+"?token-file="+dir+"/ann.token", "admin", "3", "true")
	if err != nil {
		t.Errorf("ann dispatches from the shell: %v, %s%s", err, out, errs)
	}
	if e := next(t, heard); e.ID != "3" {
		t.Errorf("ann heard %v", e)
	}
	if _, errs, err := run(t, "", "listen", "--count", "1", hub.urls[0]+"?subscribe=true", "admin:*"); err == nil || !strings.Contains(errs, "no rule lets you subscribe admin:*") {
		t.Errorf("nobody listens from the shell: %v, %s", err, errs)
	}
	bob, _ := come(t, hub.urls[0], "bob-"+token)
	if _, err := bob.Add(deadline(t), eventtarget.T("admin", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {})); err == nil ||
		!strings.Contains(err.Error(), "no rule lets you subscribe admin:*") {
		t.Errorf("bob listens: %v", err)
	}
}

// TestJoined: a worker and another hub are part of the hub that names them.
func TestJoined(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "near.token", "near-"+token)
	far := runHub(t, dir, "tokens:\n  - identity: near\n    token-file: DIR/near.token\n"+
		"topics:\n  - topic: \"chat.said:*\"\n    subscribe: [near]\n    dispatch: [near]\n")
	near := runHub(t, t.TempDir(), "workers:\n  - program: "+program+"\n    args: [demo-worker]\n    topics: [\"chat.said:*\", \"worker.heard:*\"]\n"+
		"bridges:\n  - url: "+far.urls[0]+"?subscribe=true&token-file="+dir+"/near.token\n    topics: [\"chat.said:*\"]\n")
	a := connect(t, near.urls[0])
	b, _ := come(t, far.urls[0], "near-"+token)
	answers, heard := hear(t, a, eventtarget.T("worker.heard", "*")), hear(t, a, eventtarget.T("chat.said", "*"))
	if err := a.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "chat.said", ID: "1", Payload: raw(`"near"`)}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, answers); e.ID != "1" || string(e.Payload) != `"near"` {
		t.Errorf("the worker answered %v", e)
	}
	if err := b.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "chat.said", ID: "2", Payload: raw(`"far"`)}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, heard); e.ID != "2" {
		t.Errorf("heard %v from the other hub", e)
	}
	if e := next(t, answers); e.ID != "2" {
		t.Errorf("the worker answered %v", e)
	}
	near.signal(syscall.SIGTERM)
	if err := near.end(); err != nil {
		t.Errorf("the hub ended with %v", err)
	}
}

// TestRing: three hubs in a ring, each a process with a bridge to those that were there
// before it, deliver once each and in order (law C27).
func TestRing(t *testing.T) {
	bridges := "bridged: true\n" // the first one has none
	var heard []<-chan eventtarget.Event[raw]
	var clients []eventtarget.Target
	for range 3 {
		hub := runHub(t, t.TempDir(), bridges)
		client := connect(t, hub.urls[0])
		clients, heard = append(clients, client), append(heard, hear(t, client, eventtarget.T("n", "*")))
		if len(clients) == 1 {
			bridges = "bridges:\n"
		}
		bridges += "  - url: " + hub.urls[0] + "\n"
	}
	const events = 50
	for n := range events {
		for i, client := range clients {
			e := eventtarget.Event[raw]{Type: "n", ID: strconv.Itoa(i), Payload: raw(strconv.Itoa(n))}
			if err := client.Dispatch(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, ear := range heard {
		var numbers [3]int
		for range 2 * events { // those of the two others
			e := next(t, ear)
			from, _ := strconv.Atoi(e.ID)
			if from == i || string(e.Payload) != strconv.Itoa(numbers[from]) {
				t.Fatalf("%d heard %s of %d behind %v", i, e.Payload, from, numbers)
			}
			numbers[from]++
		}
	}
}

// TestBridgedBy: who is no bridge, by its identity, says nothing of bridges, as a reload wants it.
func TestBridgedBy(t *testing.T) {
	dir := t.TempDir()
	var tokens strings.Builder
	tokens.WriteString("bridged: true\ntokens:\n")
	for _, name := range []string{"ann", "hub-b"} {
		put(t, dir, name+".token", name+"-"+token)
		fmt.Fprintf(&tokens, "  - identity: %s\n    token-file: DIR/%s.token\n", name, name)
	}
	hub := runHub(t, dir, tokens.String()+"bridged-by: [\"hub-*\"]\n")
	ann, _ := come(t, hub.urls[0], "ann-"+token)
	bridge, _ := come(t, hub.urls[0], "hub-b-"+token)
	ear, _ := come(t, hub.urls[0], "ann-"+token)
	heard := hear(t, ear, eventtarget.T("n", "*"))
	say := func(by eventtarget.Target, id, header string) {
		t.Helper()
		if err := by.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "n", ID: id, Headers: map[string]string{eventtarget.BridgeHeader: header}}); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		if e := next(t, heard); e.ID != want {
			t.Errorf("heard %v, want %s", e, want)
		}
	}
	say(ann, "made up", "x/1/1")
	expect("made up")
	say(bridge, "brought", "x/1/1")
	expect("brought")
	hub.reload(tokens.String(), 1) // any spoke may be one
	say(ann, "brought", "x/2/1")
	expect("brought")
	say(ann, "repeated", "x/2/1")
	say(ann, "last", "x/3/1")
	expect("last")
}

// TestCertificate: a certificate changes under connections that stay.
func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	text := "http:\n  tls-cert: DIR/hub.crt\n  tls-key: DIR/hub.key\n"
	certify(t, dir, 1)
	hub := runHub(t, dir, text)
	address := strings.TrimSuffix(strings.TrimPrefix(hub.urls[0], "wss://"), "/ws")
	serial := func() (*tls.Conn, int64) {
		c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c, c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	faults := make(chan eventtarget.Fault, 100)
	spoke, err := wsclient.New(hub.urls[0], &wsclient.Options{
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}},
		Options:    link.Options{OnFault: func(f eventtarget.Fault) { faults <- f }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spoke.Close(); <-spoke.Done() })
	if err := spoke.Ready(deadline(t)); err != nil {
		t.Fatal(err)
	}
	stays, first := serial()
	certify(t, dir, 2)
	hub.reload(text, 1)
	if _, second := serial(); first != 1 || second != 2 {
		t.Errorf("certificates %d and %d", first, second)
	}
	if _, err := stays.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 15)
	if _, err := stays.Read(answer); err != nil || string(answer) != "HTTP/1.1 200 OK" {
		t.Errorf("answered %q, %v", answer, err)
	}
	if spoke.State() != eventtarget.StateUp || len(faults) > 0 {
		t.Errorf("the spoke is %v, with %d faults", spoke.State(), len(faults))
	}
	put(t, dir, "hub.crt", "half of it")
	hub.write(text)
	hub.signal(syscall.SIGHUP)
	hub.said("not reloaded", 1)
	if _, third := serial(); third != 2 {
		t.Errorf("after a broken one there is certificate %d", third)
	}
	hub.write("relay: true\n")
	hub.signal(syscall.SIGHUP)
	hub.said(`restart" key=http.tls-cert`, 1)
	if _, fourth := serial(); fourth != 2 {
		t.Errorf("without one there is certificate %d", fourth)
	}
}

func certify(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "hub.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	put(t, dir, "hub.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// TestSystemd: the service manager is told how the hub stands.
func TestSystemd(t *testing.T) {
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	told := func(want string) {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 200)
		n, err := manager.Read(b)
		if state, _, _ := strings.Cut(string(b[:n]), "\n"); err != nil || state != want {
			t.Fatalf("systemd is told %q, %v, want %q", b[:n], err, want)
		}
	}
	hub := runHub(t, dir, "{}", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	told("READY=1")
	hub.signal(syscall.SIGHUP)
	told("RELOADING=1")
	told("READY=1")
	hub.write("relay: maybe\n") // also when that fails
	hub.signal(syscall.SIGHUP)
	told("RELOADING=1")
	told("READY=1")
	hub.signal(syscall.SIGTERM)
	told("STOPPING=1")
	if err := hub.end(); err != nil {
		t.Errorf("the hub ended with %v", err)
	}
}

// TestNoSecrets: whatever goes wrong, no secret is told.
func TestNoSecrets(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bus.url", "redis://hub:"+token+"@127.0.0.1:1?prefix="+token)
	put(t, dir, "bridge.url", "ws://hub:"+token+"@127.0.0.1:1/ws?token="+token)
	put(t, dir, "wrong.url", "ws://hub:"+token+"@127.0.0.1:1/ws?max="+token)
	put(t, dir, "ann.token", "ann-"+token)
	var all sync.WaitGroup
	for name, c := range map[string]struct{ text, want string }{
		"a bus that is not there":    {"backplane:\n  url-file: DIR/bus.url\n", "hub.yaml:1:1: the backplane at redis://127.0.0.1:1: eventtarget: redis: ready: context deadline exceeded (connect: dial tcp 127.0.0.1:1: connect: connection refused)"},
		"a bridge with a parameter":  {"relay: true\nbridges:\n  - url-file: DIR/bridge.url\n", `hub.yaml:3:5: the bridge to ws://127.0.0.1:1/ws: eventtarget: ws: open: unknown parameter "token"`},
		"a bridge with a bad value":  {"bridges:\n  - url-file: DIR/wrong.url\n", "hub.yaml:2:5: the bridge to ws://127.0.0.1:1/ws: "},
		"a bus in the file":          {"backplane:\n  url: redis://hub:" + token + "@127.0.0.1:1\n", "hub.yaml:2:3: backplane.url: a password does not stand here"},
		"a token in the file":        {"tokens:\n  - identity: ann\n    token: " + token + "\n", "hub.yaml:3:5: tokens[0].token: a secret does not stand here"},
		"a worker that is no worker": {"workers:\n  - program: /bin/true\n    args: [" + token + "]\n    env: [A=" + token + "]\n", "hub.yaml:2:5: the worker /bin/true: "},
	} {
		sub := t.TempDir()
		file := filepath.Join(sub, "hub.yaml")
		put(t, sub, "hub.yaml", strings.ReplaceAll(c.text, "DIR", dir))
		all.Go(func() {
			out, errs, err := run(t, "", "hub", "-c", file, "--listen", "127.0.0.1:0")
			if err == nil || !strings.Contains(errs, c.want) {
				t.Errorf("%s: %v, %s, want %s", name, err, errs, c.want)
			}
			if strings.Contains(out+errs, "hunter2") {
				t.Errorf("%s: a secret is told: %s%s", name, out, errs)
			}
		})
	}
	all.Wait()
	// A hub that runs, with who is refused and what is wrong later; runHub looks at what it says.
	hub := runHub(t, dir, "tokens:\n  - identity: ann\n    token-file: DIR/ann.token\ntoken-parameter: t\n")
	c, _ := come(t, hub.urls[0]+"?t=ann-"+token, "")
	for _, bad := range []string{"eve-" + token, "ann-" + token + "x"} {
		if status := knock(t, hub.urls[0]+"?t="+bad, bad); status != http.StatusUnauthorized {
			t.Errorf("answered %d", status)
		}
	}
	hub.write("tokens: " + token + "\n" + token + ": 1\n")
	hub.signal(syscall.SIGHUP)
	hub.said("not reloaded", 1)
	c.Close()
	<-c.Done()
}

// TestCheck: --check says whether a configuration is good, and starts nothing.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "good.yaml", "http:\n  address: 127.0.0.1:1\n")
	put(t, dir, "bad.yaml", "htp: 1\nrelay: maybe\n")
	out, errs, err := run(t, "", "hub", "--check", "-c", filepath.Join(dir, "good.yaml"))
	if err != nil || !strings.Contains(out, "the configuration is good") {
		t.Errorf("%v, %s%s", err, out, errs)
	}
	out, errs, err = run(t, "", "hub", "--check", "-c", filepath.Join(dir, "bad.yaml"), "--listen", "nowhere")
	if err == nil || out != "" || !strings.Contains(errs, "2 mistakes") || !strings.Contains(errs, "bad.yaml:1:1: htp: unknown key; did you mean http?") ||
		!strings.Contains(errs, "bad.yaml:2:1: relay:") {
		t.Errorf("%v, %s%s", err, out, errs)
	}
}
