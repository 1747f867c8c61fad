// Command chat is a chat room over a WebSocket hub in one program: the hub greets who
// enters, relays what is said, and tells the room who left.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
	}
}

func run(ctx context.Context) error {
	var h *wsserver.Hub
	text := eventtarget.JSON[string]()
	h, err := wsserver.New(&wsserver.Options{KeepHeaders: []string{"Name"}, Options: hub.Options{
		Relay: true,
		OnDisconnect: func(s *hub.Spoke, r eventtarget.Reason) {
			_ = eventtarget.Typed[string](h, text).Dispatch(ctx, eventtarget.Event[string]{Type: "room.left", Payload: s.Header("Name")})
		},
	}})
	if err != nil {
		return err
	}
	// Who enters is greeted: an answer goes to the spoke that asked.
	if _, err := eventtarget.Typed[string](h, text).Add(ctx, eventtarget.T("room.enter", "*"), eventtarget.Func(func(ctx context.Context, e eventtarget.Event[string]) {
		_ = eventtarget.Reply(ctx, e, "room.welcome", text, "hello, "+e.Payload)
	})); err != nil {
		return err
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()

	heard := make(chan string, 10)
	join := func(name string) (*wsclient.Client, error) {
		c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), &wsclient.Options{Header: http.Header{"Name": {name}}})
		if err != nil {
			return nil, err
		}
		room := eventtarget.Typed(eventtarget.Target(c), text)
		for _, what := range []string{"room.welcome", "room.said", "room.left"} {
			if _, err := room.Add(ctx, eventtarget.T(what, "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[string]) {
				heard <- fmt.Sprintf("%s hears %s: %s", name, e.Type, e.Payload)
			})); err != nil {
				return nil, err
			}
		}
		return c, room.Dispatch(ctx, eventtarget.Event[string]{Type: "room.enter", Payload: name})
	}
	ada, err := join("ada")
	if err != nil {
		return err
	}
	defer ada.Close()
	fmt.Println(<-heard)
	grace, err := join("grace")
	if err != nil {
		return err
	}
	fmt.Println(<-heard)
	if err := eventtarget.Typed(eventtarget.Target(grace), text).Dispatch(ctx, eventtarget.Event[string]{Type: "room.said", Payload: "good morning"}); err != nil {
		return err
	}
	fmt.Println(<-heard)
	if err := grace.Shutdown(ctx); err != nil {
		return err
	}
	fmt.Println(<-heard)
	return nil
}
