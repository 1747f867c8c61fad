package identity_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"path/filepath"
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
	near, far := net.Pipe()
	secure := tls.Server(far, server)
	go func() { _ = tls.Client(near, client).HandshakeContext(ctx) }() // secure has the error, too
	if err := secure.HandshakeContext(ctx); err != nil {
		log.Fatal(err)
	}
	pin, _ := identity.PeerPin(secure.ConnectionState())
	fmt.Println("the peer is the spoke:", pin == spoke.Pin())
	// Output:
	// the peer is the spoke: true
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
