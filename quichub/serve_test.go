package quichub_test

import (
	"context"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestServe: a hub with spokes over WebSocket and QUIC is one hub.
func TestServe(t *testing.T) {
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{Relay: true, OnFault: quiet}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := quichub.Serve(h.Hub, socket, quichub.ListenerOptions{Identity: forSpokes()})
	if err != nil {
		t.Fatal(err)
	}
	o := link.Options{OnFault: quiet}
	web, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), &wsclient.Options{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	s, err := quicspoke.New(l.Addr().String(), &quicspoke.Options{Identity: forHub(), Options: o})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	heard := make(chan string, 100)
	for name, e := range map[string]eventtarget.Endpoint{"web": web, "quic": s} {
		if err := e.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(_ context.Context, e event) { heard <- name + " " + e.ID })); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		by   eventtarget.Target
		id   string
		want []string
	}{{web, "1", []string{"quic 1"}}, {s, "2", []string{"web 2"}}, {h, "3", []string{"quic 3", "web 3"}}} {
		if err := step.by.Dispatch(t.Context(), event{Type: "n", ID: step.id}); err != nil {
			t.Fatal(err)
		}
		for len(step.want) > 0 {
			select {
			case got := <-heard:
				if step.want = without(step.want, got); step.want == nil {
					t.Fatalf("behind %s was heard %q", step.id, got)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("never heard: %v", step.want)
			}
		}
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-l.Done()
}

// without returns what is left of all; nil if one was not there.
func without(all []string, one string) []string {
	for i, s := range all {
		if s == one {
			return append(append([]string{}, all[:i]...), all[i+1:]...)
		}
	}
	return nil
}
