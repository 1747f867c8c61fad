package quicspoke_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// A spoke talks to the hub whose key it was given, and to no other.
func ExampleNew() {
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

	for name, pin := range map[string]identity.Pin{"its hub": hubKey.Pin(), "another": newKey().Pin()} {
		spoke, err := quicspoke.New(h.Addr().String(), &quicspoke.Options{
			Identity: identity.Config{Key: spokeKey, Pins: []identity.Pin{pin}},
		})
		if err != nil {
			log.Fatal(err) // the address or the options are wrong
		}
		defer spoke.Close()
		err = spoke.Ready(ctx)
		if refusal := identity.Refusal(err, false); refusal != nil {
			fmt.Printf("%s: its %s is wrong\n", name, refusal.Check)
			continue
		}
		err = spoke.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "greeting", ID: "ada"})
		fmt.Printf("%s: %v\n", name, err)
	}
	// Unordered output:
	// its hub: <nil>
	// another: its pin is wrong
}

// newKey returns a key; most programs load theirs from a file.
func newKey() *identity.Key {
	key, err := identity.New()
	if err != nil {
		log.Fatal(err)
	}
	return key
}
