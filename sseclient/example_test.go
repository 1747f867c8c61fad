package sseclient_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/sseclient"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// A client asks for topics and hears them. When the stream ends it comes back and goes on
// behind what it heard last.
func ExampleNew() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	h, err := ssehub.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()

	client, err := sseclient.New(server.URL, &sseclient.Options{Topics: []eventtarget.Topic{eventtarget.T("vote", "*")}})
	if err != nil {
		log.Fatal(err) // the URL or the options are wrong
	}
	defer client.Close()
	heard, err := eventtarget.Subscribe(ctx, client, eventtarget.T("vote", "tea"), 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Ready(ctx); err != nil {
		log.Fatal(err) // the hub has refused the client, or ctx has ended
	}
	for _, drink := range []string{"coffee", "tea"} {
		if err := h.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "vote", ID: drink}); err != nil {
			log.Fatal(err)
		}
	}
	for e, err := range heard.All(ctx) {
		fmt.Println(e.Type, "for", e.ID, err)
		break
	}
	// Output:
	// vote for tea <nil>
}
