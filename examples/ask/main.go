// Command ask shows requests that are answered: the hub answers the spoke that asked and
// nobody else, and asks a spoke in turn.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

var (
	// price is what the hub knows, name what a spoke knows. Both ends have the same values.
	price = eventtarget.Method[string, int]{Name: "price", Requests: eventtarget.JSON[string](), Answers: eventtarget.JSON[int]()}
	name  = eventtarget.Method[struct{}, string]{Name: "name", Requests: eventtarget.JSON[struct{}](), Answers: eventtarget.JSON[string]()}
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
	}
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // nobody knows whether there is somebody who answers
	defer cancel()
	arrived := make(chan *hub.Spoke, 1)
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{OnConnect: func(s *hub.Spoke) { arrived <- s }}})
	if err != nil {
		return err
	}
	prices := map[string]int{"tea": 3, "coffee": 4}
	if _, err := price.Serve(ctx, h, func(_ context.Context, e eventtarget.Event[string]) (int, error) {
		if p, found := prices[e.Payload]; found {
			return p, nil
		}
		return 0, errors.New("there is no " + e.Payload)
	}, nil); err != nil {
		return err
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()

	clients, spokes, answers := [2]*wsclient.Client{}, [2]*hub.Spoke{}, [2]atomic.Int32{}
	for i, who := range []string{"ada", "grace"} {
		c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), nil)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := name.Serve(ctx, c, func(context.Context, eventtarget.Event[struct{}]) (string, error) { return who, nil }, nil); err != nil {
			return err
		}
		hear := eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { answers[i].Add(1) }}
		if _, err := c.Add(ctx, eventtarget.T("price.answered", "*"), hear); err != nil {
			return err
		}
		clients[i], spokes[i] = c, <-arrived
	}

	// A spoke asks the hub.
	for _, what := range []string{"coffee", "milk"} {
		p, err := price.Call(ctx, clients[0], what)
		if failure, ok := errors.AsType[*eventtarget.Failure](err); ok {
			fmt.Println(failure)
		} else if err != nil {
			return err
		} else {
			fmt.Println(what, "costs", p)
		}
	}
	// The hub asks the other spoke, which has heard everything that it was sent before.
	who, err := name.Call(ctx, spokes[1], struct{}{})
	if err != nil {
		return err
	}
	fmt.Println("ada heard", answers[0].Load(), "answer,", who, answers[1].Load())
	return nil
}
