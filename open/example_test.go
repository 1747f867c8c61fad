package open_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/url"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/open"
)

// A program that opens its target by URL is configured to be local or to speak to a
// hub: mem://orders here, ws://127.0.0.1:8080/ws there.
func ExampleOpen() {
	ctx := context.Background()
	target, err := open.Open(ctx, "mem://orders")
	if err != nil {
		log.Fatal(err)
	}
	if err := target.Ready(ctx); err != nil {
		log.Fatal(err)
	}
	_, err = target.Add(ctx, eventtarget.T("order.placed", "*"), eventtarget.Func(
		func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
			fmt.Printf("order %s: %s\n", e.ID, e.Payload)
		}))
	if err != nil {
		log.Fatal(err)
	}
	err = target.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "order.placed", ID: "42", Payload: eventtarget.Raw(`{"total":30}`)})
	if err != nil {
		log.Fatal(err)
	}
	if err := target.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// order 42: {"total":30}
}

// An application adds schemes of its own.
func ExampleNewMux() {
	ctx := context.Background()
	mux := open.NewMux(&open.Options{OnFault: func(f eventtarget.Fault) { log.Print(f) }})
	mux.Handle("private", func(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
		if err := eventtarget.CheckParameters(u); err != nil {
			return nil, err
		}
		return inprocess.New[eventtarget.Raw](nil), nil
	})
	fmt.Println(mux.Schemes())

	target, err := mux.Open(ctx, "private://diary")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(target.State())
	target.Close()

	_, err = mux.Open(ctx, "gopher://diary")
	fmt.Println(errors.Is(err, eventtarget.ErrUnknownScheme))
	// Output:
	// [mem private quic redis redis+cluster rediss rediss+cluster sse+http sse+https worker ws wss]
	// up
	// true
}

// A program says what it relies on: with another URL it fails at once, rather than lose
// events some day.
func ExampleOptions() {
	mux := open.NewMux(&open.Options{Require: []open.Requirement{open.Ordered, open.Relay, open.Resumes}})
	for _, url := range []string{"mem://orders", "redis://127.0.0.1:6379"} {
		target, err := mux.Open(context.Background(), url)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(url, "is as good as that")
		target.Close()
	}
	// Output:
	// mem://orders is as good as that
	// eventtarget: redis: open: requirement not met: resumes (it would be with: mem:, ws:, quic:, redis:?durable=true)
}
