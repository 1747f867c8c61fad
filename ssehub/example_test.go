package ssehub_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/sseclient"
	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// Whatever reads a stream of events hears the hub: an EventSource, curl -N, or this.
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

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"?topic=chat:42", nil)
	if err != nil {
		log.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	err = h.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "chat", ID: "42", Payload: eventtarget.Raw(`"hello"`)})
	if err != nil {
		log.Fatal(err)
	}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "event:") || strings.HasPrefix(line, "data:") {
			fmt.Println(line)
		}
		if strings.HasPrefix(line, "data:") {
			break // behind it comes an empty line, and then the next event
		}
	}
	// Output:
	// event: chat
	// data: {"type":"chat","id":"42","payload":"hello"}
}

// One hub for those who talk over WebSocket and for those who listen over Server-Sent
// Events.
func ExampleNewHandler() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
		Relay:   true,
		OnFault: func(eventtarget.Fault) {}, // that the clients leave, at the end
	}})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", h)
	mux.Handle("/sse", ssehub.NewHandler(h.Hub, ssehub.HandlerOptions{}))
	server := httptest.NewServer(mux)
	defer server.Close()
	defer h.Close()

	listener, err := sseclient.New(server.URL+"/sse", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	heard, err := eventtarget.Subscribe(ctx, listener, eventtarget.T("chat", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := listener.Ready(ctx); err != nil {
		log.Fatal(err)
	}
	talk(ctx, "ws"+strings.TrimPrefix(server.URL, "http")+"/ws")
	for e, err := range heard.All(ctx) {
		fmt.Printf("%s, %v\n", e.Payload, err)
		break
	}
	// Output:
	// "hello", <nil>
}

// talk says hello in a chat, over WebSocket.
func talk(ctx context.Context, url string) {
	client, err := wsclient.New(url, nil)
	if err != nil {
		log.Fatal(err)
	}
	err = client.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "chat", ID: "42", Payload: eventtarget.Raw(`"hello"`)})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}

// Who only listens talks by POST, as curl --json does.
func ExampleNewPostHandler() {
	h, err := ssehub.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /sse", h)
	mux.Handle("POST /sse", ssehub.NewPostHandler(h.Hub, ssehub.PostOptions{
		Authorize: func(_ string, t eventtarget.Topic) error {
			if t.Type != "chat" {
				return fmt.Errorf("nobody may dispatch a %s", t.Type)
			}
			return nil
		},
	}))
	server := httptest.NewServer(mux)
	defer server.Close()
	defer h.Close()

	client := http.Client{Timeout: time.Minute}
	for _, event := range []string{`{"type":"chat","id":"42","payload":"hello"}`, `{"type":"alarm","id":"42"}`, `hello`} {
		response, err := client.Post(server.URL+"/sse", "application/json", strings.NewReader(event))
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Println(response.Status)
	}
	// Output:
	// 202 Accepted
	// 403 Forbidden
	// 400 Bad Request
}
