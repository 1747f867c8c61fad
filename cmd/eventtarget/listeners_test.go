package main_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// newKey makes a key in a file.
func newKey(t *testing.T, dir, name string) (file string, pin identity.Pin) {
	t.Helper()
	file = filepath.Join(dir, name)
	key, err := identity.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, key.Pin()
}

// join opens a URL and waits until it is up.
func join(t *testing.T, url string, onFault func(eventtarget.Fault)) eventtarget.Endpoint {
	t.Helper()
	target, err := open.NewMux(&open.Options{OnFault: onFault}).Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close(); <-target.Done() })
	if err := target.Ready(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return target
}

// TestListeners: a hub listens at as many addresses as it is told, who comes in at the one
// hears who comes in at the others, and a certificate of any of them changes under it.
func TestListeners(t *testing.T) {
	dir := t.TempDir()
	newKey(t, dir, "first.key")
	newKey(t, dir, "second.key")
	spokeKey, pin := newKey(t, dir, "spoke.key")
	certify(t, dir, 1)
	text := "quic:\n  address: 127.0.0.1:0\n  key-file: DIR/first.key\n  allow: [" + pin.String() + "]\nmetrics: 127.0.0.1:0\n" +
		"listeners:\n  - kind: http\n    address: 127.0.0.1:0\n    tls-cert: DIR/hub.crt\n    tls-key: DIR/hub.key\n" +
		"  - kind: quic\n    address: 127.0.0.1:0\n    key-file: DIR/second.key\n  - kind: metrics\n    address: 127.0.0.1:0\n"
	hub := runHub(t, dir, "relay: true\n"+text)
	for i, scheme := range []string{"ws://", "wss://", "quic://", "quic://"} {
		if !strings.HasPrefix(hub.urls[i], scheme) {
			t.Fatalf("the hub is ready at %q", hub.urls)
		}
	}
	secure, err := wsclient.New(hub.urls[1], &wsclient.Options{
		HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
		Options:    link.Options{OnFault: func(f eventtarget.Fault) { t.Log(f) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { secure.Close(); <-secure.Done() })
	if err := secure.Ready(deadline(t)); err != nil {
		t.Fatal(err)
	}
	report := func(f eventtarget.Fault) { t.Log(f) }
	all := []eventtarget.Endpoint{
		connect(t, hub.urls[0]), secure,
		join(t, hub.urls[2]+"&echo=false&key="+spokeKey, report), join(t, hub.urls[3]+"&echo=false&key="+spokeKey, report),
	}
	var heard []<-chan eventtarget.Event[raw]
	for _, target := range all {
		heard = append(heard, hear(t, target, eventtarget.T("from", "*")))
	}
	for i, target := range all {
		id := string(rune('0' + i))
		if err := target.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "from", ID: id}); err != nil {
			t.Fatal(err)
		}
		for j, c := range heard {
			if j == i { // who speaks does not hear itself
				continue
			}
			if e := next(t, c); e.ID != id {
				t.Errorf("listener %d: heard %v in place of %s", j, e, id)
			}
		}
	}
	for n := range 2 {
		_, url, _ := strings.Cut(hub.said("hub: metrics at ", n+1), "metrics at ")
		if page := get(t, url); !strings.Contains(page, `eventtarget_connections{state="up",transport="quic"} 2`) {
			t.Errorf("metrics at %s:\n%s", url, page)
		}
	}

	before := serial(t, hub.urls[1])
	certify(t, dir, 2)
	hub.reload("relay: true\n"+text, 1)
	if after := serial(t, hub.urls[1]); before != 1 || after != 2 {
		t.Errorf("certificates %d and %d", before, after)
	}
	hub.reload("relay: true\n"+text+"  - kind: http\n    address: 127.0.0.1:0\n", 2)
	hub.said(`restart" key=listeners`, 1)
	for i, target := range all {
		if target.State() != eventtarget.StateUp {
			t.Errorf("who came in at listener %d is %v", i, target.State())
		}
	}
	hub.signal(syscall.SIGTERM)
	if err := hub.end(); err != nil {
		t.Errorf("the hub ended with %v", err)
	}
}

// serial returns the number of the certificate that is shown at a URL.
func serial(t *testing.T, url string) int64 {
	t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(url, "wss://"), "/ws")
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestCertificates: listeners whose ports are any keep their own certificates.
func TestCertificates(t *testing.T) {
	dir, text := t.TempDir(), "listeners:\n"
	var dirs []string
	for range 2 {
		other := t.TempDir()
		dirs = append(dirs, other)
		text += "  - kind: http\n    address: 127.0.0.1:0\n    tls-cert: " + other + "/hub.crt\n    tls-key: " + other + "/hub.key\n"
	}
	renew := func(serials ...int64) {
		for i, n := range serials {
			certify(t, dirs[i], n)
		}
	}
	renew(1, 2)
	hub := runHub(t, dir, text)
	renew(3, 4)
	hub.reload(text, 1)
	for i, want := range []int64{3, 4} {
		if got := serial(t, hub.urls[i+1]); got != want {
			t.Errorf("listener %d shows certificate %d, want %d", i, got, want)
		}
	}
}

// TestListenerTaken: an address that is taken is told with its place, and nothing stays.
func TestListenerTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, kind := range []string{"http", "metrics"} {
		dir := t.TempDir()
		put(t, dir, "hub.yaml", "listeners:\n  - kind: "+kind+"\n    address: "+taken.Addr().String()+"\n")
		out, errs, err := run(t, "", "hub", "--listen", "127.0.0.1:0", "-c", filepath.Join(dir, "hub.yaml"))
		if err == nil || out != "" || !strings.Contains(errs, "hub.yaml:") || !strings.Contains(errs, "in use; write another address") {
			t.Errorf("%s: %v, %s%s", kind, err, out, errs)
		}
	}
}

// TestRulesForKeys: over QUIC who somebody is, and so what the rules let them, is their key.
func TestRulesForKeys(t *testing.T) {
	dir := t.TempDir()
	newKey(t, dir, "hub.key")
	annKey, ann := newKey(t, dir, "ann.key")
	bobKey, bob := newKey(t, dir, "bob.key")
	text := "relay: true\nquic:\n  address: 127.0.0.1:0\n  key-file: DIR/hub.key\n  allow: [" + ann.String() + ", " + bob.String() + "]\ntopics:\n" +
		"  - topic: \"chat:*\"\n    subscribe: [\"?*\"]\n    dispatch: [" + ann.String() + "]\n  - topic: \"admin:*\"\n    subscribe: [" + ann.String() + "]\n"
	hub := runHub(t, dir, text)
	faults := make(chan eventtarget.Fault, 100)
	report := func(f eventtarget.Fault) { faults <- f }
	a := join(t, hub.urls[1]+"&echo=false&subscribe=true&key="+annKey, report)
	b := join(t, hub.urls[1]+"&echo=false&subscribe=true&key="+bobKey, report)
	chat := hear(t, b, eventtarget.T("chat", "*"))
	hear(t, a, eventtarget.T("admin", "*"))
	if _, err := b.Add(deadline(t), eventtarget.T("admin", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {})); !errors.Is(err, eventtarget.ErrForbidden) {
		t.Errorf("bob listens to admin: %v", err)
	}
	if err := b.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "chat", ID: "of bob"}); err != nil {
		t.Fatal(err)
	}
	if f := next(t, faults); f.Kind != eventtarget.FaultDispatch || f.Topic != eventtarget.T("chat", "of bob") || !errors.Is(f.Err, eventtarget.ErrForbidden) {
		t.Errorf("bob is told %v", f)
	}
	if err := a.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "chat", ID: "of ann"}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, chat); e.ID != "of ann" {
		t.Errorf("bob heard %v", e)
	}
	// Who has no key comes over HTTP, and no rule is for nobody.
	if status := post(t, beside(hub.urls[0], "/dispatch"), "", `{"type":"chat","id":"of nobody"}`); status != http.StatusForbidden {
		t.Errorf("nobody posts: %d", status)
	}
}
