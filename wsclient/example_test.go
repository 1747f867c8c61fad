package wsclient_test

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

// A client connects by itself, and again when the connection is lost. Its listeners
// stay, and what it dispatches meanwhile is sent later.
func ExampleNew() {
	ctx := context.Background()
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
		OnFault: func(eventtarget.Fault) {}, // that the client leaves, at the end
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

	client, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		log.Fatal(err) // the URL or the options are wrong
	}
	if err := client.Ready(ctx); err != nil {
		log.Fatal(err) // the server has refused the client, or ctx has ended
	}
	err = client.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "greeting", ID: "ada", Payload: eventtarget.Raw(`"hello"`)})
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range heard.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s from %s\n", e.Payload, e.ID)
		break
	}
	if err := client.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// "hello" from ada
}
