package link_test

import (
	"context"
	"fmt"
	"log"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// Two programs, each at one end of a connection. An adapter's Conn stands where the
// pipe is here.
func ExampleNew() {
	ctx := context.Background()
	here, there := link.Pipe()
	client, err := link.New(link.Options{Conn: here})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	server, err := link.New(link.Options{Conn: there})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	_, err = server.Add(ctx, eventtarget.T("ask", "*"), eventtarget.Func(
		func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
			fmt.Printf("asked for %s\n", e.Payload)
			// The source of an event is a target, too: answer it.
			err := eventtarget.Reply(ctx, e, "answer", eventtarget.JSON[int](), 42)
			if err != nil {
				log.Print(err)
			}
		}))
	if err != nil {
		log.Fatal(err)
	}
	answers, err := eventtarget.Subscribe(ctx, client, eventtarget.T("answer", "1"), 0)
	if err != nil {
		log.Fatal(err)
	}
	err = client.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "ask", ID: "1", Payload: eventtarget.Raw(`"everything"`)})
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range answers.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("answered %s\n", e.Payload)
		break
	}
	// Output:
	// asked for "everything"
	// answered 42
}
