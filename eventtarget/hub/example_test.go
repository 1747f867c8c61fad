package hub_test

import (
	"context"
	"fmt"
	"log"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// A hub speaks to all of its spokes. An adapter attaches its connections where the
// pipes are here.
func ExampleNew() {
	ctx := context.Background()
	h, err := hub.New(hub.Options{
		OnConnect: func(s *hub.Spoke) { fmt.Println(s.ID(), "has come") },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()

	var spokes []*link.Link
	for _, name := range []string{"ada", "grace"} {
		near, far := link.Pipe()
		spoke, err := link.New(link.Options{Conn: near})
		if err != nil {
			log.Fatal(err)
		}
		defer spoke.Close()
		if _, err := h.Attach(far, hub.Meta{ID: name}); err != nil {
			log.Fatal(err)
		}
		spokes = append(spokes, spoke)
	}

	news := eventtarget.T("news", "")
	var heard []*eventtarget.Subscription[eventtarget.Raw]
	for _, spoke := range spokes {
		s, err := eventtarget.Subscribe(ctx, spoke, news, 0)
		if err != nil {
			log.Fatal(err)
		}
		heard = append(heard, s)
	}
	err = h.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "news", Payload: eventtarget.Raw(`"it works"`)})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range heard {
		for e, err := range s.All(ctx) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("%s\n", e.Payload)
			break
		}
	}
	// Output:
	// ada has come
	// grace has come
	// "it works"
	// "it works"
}
