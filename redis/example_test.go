package redis_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// Two programs on one bus: what one dispatches, the other hears.
func ExampleNew() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, stop := redistest.ForExample() // a redis-server
	defer stop()

	ada, err := redis.New(server.URL(), nil)
	if err != nil {
		log.Fatal(err) // the URL or the options are wrong
	}
	defer ada.Close()
	grace, err := redis.New(server.URL(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer grace.Close()
	// From here on Redis sends greetings to grace.
	heard, err := eventtarget.Subscribe(ctx, grace, eventtarget.T("greeting", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}
	err = ada.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "greeting", ID: "ada", Payload: eventtarget.Raw(`"hello"`)})
	if err != nil {
		log.Fatal(err) // Redis has not confirmed it
	}
	for e, err := range heard.All(ctx) {
		fmt.Printf("%s from %s, %v\n", e.Payload, e.ID, err)
		break
	}
	// Output:
	// "hello" from ada, <nil>
}

// Hubs that share a log are one hub: a spoke of the second hears what the first dispatches,
// and its session would go on there if its own hub died.
func ExampleOpenStore() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, stop := redistest.ForExample() // a redis-server
	defer stop()
	var hubs []*hub.Hub
	for range 2 {
		store, err := redis.OpenStore(ctx, server.URL(), nil)
		if err != nil {
			log.Fatal(err)
		}
		h, err := hub.New(hub.Options{Relay: true, Store: store})
		if err != nil {
			log.Fatal(err)
		}
		defer func() {
			_ = h.Shutdown(ctx)
			_ = store.Close()
		}()
		hubs = append(hubs, h)
	}
	spoke := attach(hubs[1])
	defer spoke.Close()
	heard, err := eventtarget.Subscribe(ctx, spoke, eventtarget.T("news", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := hubs[0].Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "news", ID: "today"}); err != nil {
		log.Fatal(err)
	}
	for e, err := range heard.All(ctx) {
		fmt.Println(e.Type, e.ID, err)
		break
	}
	// Output:
	// news today <nil>
}

// attach returns a spoke of a hub.
func attach(h *hub.Hub) *link.Link {
	near, far := link.Pipe()
	spoke, err := link.New(link.Options{Conn: near, Subscribe: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := h.Attach(far, hub.Meta{}); err != nil {
		log.Fatal(err)
	}
	return spoke
}
