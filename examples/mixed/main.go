// Command mixed is a program in the middle: it holds a hub, is at the same time a spoke
// of another hub, and bridges the two, so that the spokes of both hear each other.
package main

import (
	"context"
	"fmt"
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
	_, farURL, stopFar, err := newHub()
	if err != nil {
		return err
	}
	defer stopFar()
	own, ownURL, stopOwn, err := newHub()
	if err != nil {
		return err
	}
	defer stopOwn()

	// The program in the middle: a hub of its own, and a spoke of the far one.
	spoke, err := dial(ctx, farURL)
	if err != nil {
		return err
	}
	defer spoke.Close()
	bridge, err := eventtarget.Bridge(ctx, own, spoke, nil)
	if err != nil {
		return err
	}
	defer bridge.Close()

	// A spoke at either end.
	ada, err := dial(ctx, farURL)
	if err != nil {
		return err
	}
	defer ada.Close()
	grace, err := dial(ctx, ownURL)
	if err != nil {
		return err
	}
	defer grace.Close()

	for _, talk := range []struct {
		from, to eventtarget.Target
		text     string
	}{{ada, grace, `"ada to grace, over two hubs"`}, {grace, ada, `"grace to ada, and back"`}} {
		sub, err := eventtarget.Subscribe(ctx, talk.to, eventtarget.T("said", "*"), 0)
		if err != nil {
			return err
		}
		if err := talk.from.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "said", Payload: eventtarget.Raw(talk.text)}); err != nil {
			return err
		}
		for e, err := range sub.All(ctx) {
			if err != nil {
				return err
			}
			fmt.Println(string(e.Payload))
			break
		}
		sub.Close()
	}
	return nil
}

func newHub() (h *wsserver.Hub, url string, stop func(), err error) {
	h, err = wsserver.New(&wsserver.Options{Options: hub.Options{Relay: true}})
	if err != nil {
		return nil, "", nil, err
	}
	server := httptest.NewServer(h)
	return h, "ws" + strings.TrimPrefix(server.URL, "http"), func() { h.Close(); server.Close() }, nil
}

// dial returns a client that is connected.
func dial(ctx context.Context, url string) (*wsclient.Client, error) {
	c, err := wsclient.New(url, nil)
	if err != nil {
		return nil, err
	}
	return c, c.Ready(ctx)
}
