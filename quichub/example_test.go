package quichub_test

import (
	"context"
	"fmt"
	"iter"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// A hub and its spoke know each other by their keys: each has the other's pin.
func ExampleListen() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	hubKey, spokeKey := newKey(), newKey()
	h, err := quichub.Listen("127.0.0.1:0", &quichub.Options{ListenerOptions: quichub.ListenerOptions{
		Identity: identity.Config{Key: hubKey, Pins: []identity.Pin{spokeKey.Pin()}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	heard, err := eventtarget.Subscribe(ctx, h, eventtarget.T("greeting", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}

	spoke, err := quicspoke.New(h.Addr().String(), &quicspoke.Options{
		Identity: identity.Config{Key: spokeKey, Pins: []identity.Pin{hubKey.Pin()}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := spoke.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "greeting", ID: "ada"}); err != nil {
		log.Fatal(err)
	}
	for e, err := range heard.All(ctx) {
		fmt.Println(e.Type, "from", e.ID, err)
		fmt.Println("proved to be the spoke:", e.Source.Identity() == spokeKey.Pin().String())
		break
	}
	if err := spoke.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// greeting from ada <nil>
	// proved to be the spoke: true
}

// The socket is the program's to make: with options of its own, or handed down by the
// process that ran before.
func ExampleNew() {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	h, err := quichub.New(socket, &quichub.Options{ListenerOptions: quichub.ListenerOptions{
		Identity: identity.Config{Key: newKey(), Allow: func(identity.Pin) bool { return true }}, // whoever has a key
	}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Addr() == socket.LocalAddr(), h.State())

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(h.Shutdown(ctx), h.State())
	// Output:
	// true up
	// <nil> closed
}

// One hub for browsers and for servers, with one order and one set of groups.
func ExampleServe() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
		OnFault: func(eventtarget.Fault) {}, // that they leave
	}})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	heard, err := eventtarget.Subscribe(ctx, h, eventtarget.T("greeting", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}

	hubID, spokeID := identities()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	l, err := quichub.Serve(h.Hub, socket, quichub.ListenerOptions{Identity: hubID})
	if err != nil {
		log.Fatal(err)
	}
	greet(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), l.Addr().String(), spokeID)

	next, stop := iter.Pull2(heard.All(ctx))
	defer stop()
	for range 2 {
		e, err, _ := next()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Source.(*hub.Spoke).Transport())
	}
	// Unordered output:
	// websocket
	// quic
}

// greet dispatches a greeting over WebSocket and another over QUIC.
func greet(ctx context.Context, url, address string, id identity.Config) {
	browser, err := wsclient.New(url, nil)
	if err != nil {
		log.Fatal(err)
	}
	spoke, err := quicspoke.New(address, &quicspoke.Options{Identity: id})
	if err != nil {
		log.Fatal(err)
	}
	for _, end := range []eventtarget.Endpoint{browser, spoke} {
		if err := end.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "greeting"}); err != nil {
			log.Fatal(err)
		}
		if err := end.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	}
}

// identities returns who a hub and its spoke are.
func identities() (ofHub, ofSpoke identity.Config) {
	h, s := newKey(), newKey()
	return identity.Config{Key: h, Pins: []identity.Pin{s.Pin()}}, identity.Config{Key: s, Pins: []identity.Pin{h.Pin()}}
}

// newKey returns a key; most programs load theirs from a file.
func newKey() *identity.Key {
	key, err := identity.New()
	if err != nil {
		log.Fatal(err)
	}
	return key
}
