package hub_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// Two hubs that are joined are one to their spokes. They run on two machines and the bus
// is a redis.Target; here it is in memory.
func ExampleHub_Join() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var bus inprocess.Bus
	var hubs []*hub.Hub
	for _, name := range []string{"north", "south"} {
		h, err := hub.New(hub.Options{})
		if err != nil {
			log.Fatal(err)
		}
		defer h.Close()
		if _, err := h.Join(ctx, bus.Join(nil), &hub.JoinOptions{Name: name}); err != nil {
			log.Fatal(err)
		}
		hubs = append(hubs, h)
	}
	near, far := link.Pipe()
	spoke, err := link.New(link.Options{Conn: near, Subscribe: true})
	if err != nil {
		log.Fatal(err)
	}
	defer spoke.Close()
	if _, err := hubs[1].Attach(far, hub.Meta{}); err != nil {
		log.Fatal(err)
	}
	heard, err := eventtarget.Subscribe(ctx, spoke, eventtarget.T("news", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := hubs[0].Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "news", ID: "north"}); err != nil {
		log.Fatal(err)
	}
	for e, err := range heard.All(ctx) {
		fmt.Println("the spoke in the south hears news from the", e.ID, err)
		break
	}
	// Output:
	// the spoke in the south hears news from the north <nil>
}
