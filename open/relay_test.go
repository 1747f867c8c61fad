package open_test

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// relaying is a hub that relays, and the URLs that reach it.
type relaying struct {
	*wsserver.Hub
	ws, wss, quic string
}

// relay returns a hub that ends with the test, after all that was opened in it.
func relay(t *testing.T) relaying {
	t.Helper()
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{Relay: true, Echo: true, OnFault: func(f eventtarget.Fault) { t.Log(f) }}})
	if err != nil {
		t.Fatal(err)
	}
	server, secure := httptest.NewServer(h), httptest.NewTLSServer(h)
	t.Cleanup(func() { h.Close(); <-h.Done(); server.Close(); secure.Close() })
	who, url := keys(t)
	socket, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	q, err := quichub.Serve(h.Hub, socket, quichub.ListenerOptions{Identity: who})
	if err != nil {
		t.Fatal(err)
	}
	return relaying{
		Hub: h, ws: "ws" + strings.TrimPrefix(server.URL, "http"), wss: "wss" + strings.TrimPrefix(secure.URL, "https"),
		quic: url(q.Addr()),
	}
}

// relayQUIC returns the URL of a hub that relays over QUIC alone.
func relayQUIC(t *testing.T) string {
	t.Helper()
	who, url := keys(t)
	h, err := quichub.Listen("127.0.0.1:0", &quichub.Options{
		Options:         hub.Options{Relay: true, OnFault: func(f eventtarget.Fault) { t.Log(f) }},
		ListenerOptions: quichub.ListenerOptions{Identity: who},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(); <-h.Done() })
	return url(h.Addr())
}

// keys makes those of a hub and its spokes, and the URL for these.
func keys(t *testing.T) (who identity.Config, url func(net.Addr) string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "spoke.key")
	spoke, err := identity.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	who = identity.Config{Key: key, Pins: []identity.Pin{spoke.Pin()}}
	return who, func(addr net.Addr) string { return fmt.Sprintf("quic://%s?pin=%s&key=%s", addr, key.Pin(), file) }
}

// joined returns the URL of a hub that is joined to others by a bus.
func joined(t *testing.T, busURL string) string {
	t.Helper()
	h := relay(t)
	bus, err := open.Open(t.Context(), busURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close(); <-bus.Done() })
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := eventtarget.Bridge(t.Context(), h, bus, nil); err != nil {
		t.Fatal(err)
	}
	return h.ws
}

// with returns a URL with one more parameter.
func with(url, parameter string) string {
	switch {
	case parameter == "":
		return url
	case strings.Contains(url, "?"):
		return url + "&" + parameter
	default:
		return url + "?" + parameter
	}
}

// wait returns when each of the names came.
func wait(ctx context.Context, c <-chan string, names ...string) error {
	missing := map[string]bool{}
	for _, name := range names {
		missing[name] = true
	}
	for len(missing) > 0 {
		select {
		case name := <-c:
			delete(missing, name)
		case <-ctx.Done():
			return fmt.Errorf("not heard of %v: %w", missing, context.Cause(ctx))
		}
	}
	return nil
}
