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

// A program that ends, and begins where it was.
func ExampleTarget_Position() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, stop := redistest.ForExample() // a redis-server
	defer stop()

	source, err := redis.New(server.URL(), &redis.Options{Durable: true})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	position := "" // the end of the log; "0-0" is its beginning
	for _, id := range []string{"1", "2"} {
		reader, err := redis.New(server.URL(), &redis.Options{Durable: true, From: position})
		if err != nil {
			log.Fatal(err)
		}
		heard, err := eventtarget.Subscribe(ctx, reader, eventtarget.T("order", "*"), 0)
		if err != nil {
			log.Fatal(err)
		}
		if err := source.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "order", ID: id}); err != nil {
			log.Fatal(err)
		}
		for e, err := range heard.All(ctx) {
			fmt.Println("order", e.ID, err)
			if e.ID == id {
				break
			}
		}
		if err := reader.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
		position = reader.Position() // to be kept with what was made of the events
		if err := source.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "order", ID: id + ", while nobody was there"}); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// order 1 <nil>
	// order 1, while nobody was there <nil>
	// order 2 <nil>
}
