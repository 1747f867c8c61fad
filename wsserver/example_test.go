package wsserver_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// A hub is an http.Handler, and what it dispatches every client hears.
func ExampleNew() {
	ctx := context.Background()
	welcome := eventtarget.Event[eventtarget.Raw]{Type: "welcome", Payload: eventtarget.Raw(`"hello"`)}
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
		OnFault: func(eventtarget.Fault) {}, // that the client leaves, at the end
	}})
	if err != nil {
		log.Fatal(err)
	}
	// Each event names the spoke that it came from, which is a target of its own.
	_, err = h.Add(ctx, eventtarget.T("enter", "*"), eventtarget.Func(
		func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
			if err := e.Source.Dispatch(ctx, welcome); err != nil {
				log.Print(err)
			}
		}))
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()

	client, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	heard, err := eventtarget.Subscribe(ctx, client, welcome.Topic(), 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "enter", ID: "lobby"}); err != nil {
		log.Fatal(err)
	}
	for e, err := range heard.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", e.Payload)
		break
	}
	// Output:
	// "hello"
}
