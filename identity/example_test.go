package identity_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/identity"
)

// Two ends that know each other by their keys, over TLS of any kind; there is no
// authority, and no certificate to be renewed. Packages quichub and quicspoke take the
// Config itself.
func ExampleNew() {
	hub, err := identity.New()
	if err != nil {
		log.Fatal(err)
	}
	spoke, err := identity.New()
	if err != nil {
		log.Fatal(err)
	}
	server, err := identity.Config{Key: hub, Pins: []identity.Pin{spoke.Pin()}}.Server("chat/1")
	if err != nil {
		log.Fatal(err)
	}
	client, err := identity.Config{Key: spoke, Pins: []identity.Pin{hub.Pin()}}.Client("chat/1")
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	go welcome(listener)
	conn, err := (&tls.Dialer{Config: client}).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	text, err := io.ReadAll(conn)
	fmt.Printf("%s, %v\n", text, err)
	// Output:
	// welcome, <nil>
}

// welcome answers whoever comes first, once that has proved who it is.
func welcome(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "welcome")
	_ = conn.Close()
}

// A key is made once, and never over another one.
func ExampleCreate() {
	dir, err := os.MkdirTemp("", "identity")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hub.key")

	key, err := identity.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a pin has", len(key.Pin().String()), "characters")
	_, err = identity.Create(path)
	fmt.Println("there is one already:", errors.Is(err, fs.ErrExist))
	// Output:
	// a pin has 50 characters
	// there is one already: true
}

// A program makes its key when it is started first, and has the same one from then on.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "identity")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hub.key")

	start := func() *identity.Key {
		key, err := identity.Load(path)
		if errors.Is(err, fs.ErrNotExist) {
			key, err = identity.Create(path)
		}
		if err != nil {
			log.Fatal(err)
		}
		return key
	}
	first, second := start(), start()
	fmt.Println("the same key:", first.Pin() == second.Pin())
	// Output:
	// the same key: true
}

// A pin is what an end is told of the other: in a file, an argument, a message.
func ExampleParsePin() {
	key, err := identity.New()
	if err != nil {
		log.Fatal(err)
	}
	pin, err := identity.ParsePin(key.Pin().String())
	fmt.Println(pin == key.Pin(), err)
	_, err = identity.ParsePin("sha256-short")
	fmt.Println(err)
	// Output:
	// true <nil>
	// identity: "sha256-short" is no pin: want sha256- and 43 characters
}

// Any certificate's key has a pin, whoever made it.
func ExamplePinOf() {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pin := identity.PinOf(server.Certificate())
	fmt.Println(strings.HasPrefix(pin.String(), "sha256-"))
	// Output:
	// true
}

// Over HTTPS, too, a peer is known by its key.
func ExamplePeerPin() {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	client := server.Client()
	client.Timeout = time.Minute
	res, err := client.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	pin, ok := identity.PeerPin(*res.TLS)
	fmt.Println(pin == identity.PinOf(server.Certificate()), ok)
	// Output:
	// true true
}

// Why two ends do not talk: what was wrong, and which of them says so.
func ExampleRefusal() {
	hub, err := identity.New()
	if err != nil {
		log.Fatal(err)
	}
	stranger, err := identity.New()
	if err != nil {
		log.Fatal(err)
	}
	server, err := identity.Config{Key: hub, Insecure: true}.Server("chat/1")
	if err != nil {
		log.Fatal(err)
	}
	client, err := identity.Config{Key: hub, Pins: []identity.Pin{stranger.Pin()}}.Client("chat/1")
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	go welcome(listener)
	_, err = (&tls.Dialer{Config: client}).DialContext(ctx, "tcp", listener.Addr().String())
	if refusal := identity.Refusal(err, false); refusal != nil {
		fmt.Printf("wrong: %s, said the other end: %t\n", refusal.Check, refusal.Remote)
	}
	// Output:
	// wrong: pin, said the other end: false
}
