package eventtarget_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/url"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// A topic says what happened, and to which subject. With a wildcard it selects many.
func ExampleT() {
	message := eventtarget.T("chat", "42")
	for _, selector := range []eventtarget.Topic{
		eventtarget.T("chat", "42"), eventtarget.T("chat", "*"), eventtarget.T("*", "*"), eventtarget.T("chat", "43"),
	} {
		fmt.Println(selector, selector.Matches(message))
	}
	// Output:
	// chat:42 true
	// chat:* true
	// * true
	// chat:43 false
}

// What a user or a URL says is checked.
func ExampleParseTopic() {
	for _, text := range []string{"chat:42", "chat:*", "chat", ":42"} {
		topic, err := eventtarget.ParseTopic(text)
		if errors.Is(err, eventtarget.ErrInvalidTopic) {
			fmt.Println(err)
			continue
		}
		fmt.Printf("type %q, id %q\n", topic.Type, topic.ID)
	}
	// Output:
	// type "chat", id "42"
	// type "chat", id "*"
	// invalid topic: "chat" has no ':' (write "chat:*" for every id)
	// invalid topic: the type is empty
}

// A connection of any kind ends for one of the same reasons.
func ExampleReasonOf() {
	// What a peer's close frame says:
	reason := eventtarget.ReasonOf(eventtarget.CodeOfWebSocket(1012), "new version retry-ms=1500")
	fmt.Println(reason)
	fmt.Println("come back in", reason.Retry)
	// Output:
	// restart: new version
	// come back in 1.5s
}

// Each reason has a number in every protocol.
func ExampleCodeOfWebSocket() {
	code := eventtarget.CodeOfWebSocket(1008)
	fmt.Printf("%v: status %d over HTTP, %#x over QUIC, exit status %d\n", code, code.HTTP(), code.QUIC(), code.Exit())
	// Output:
	// not allowed: status 403 over HTTP, 0x5 over QUIC, exit status 77
}

// A listener that only needs a function.
func ExampleFunc() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	target := inprocess.New[string](nil)
	_, err := target.Add(ctx, eventtarget.T("greeting", "*"), eventtarget.Func(
		func(_ context.Context, e eventtarget.Event[string]) {
			fmt.Println(e.ID, "says", e.Payload)
		}))
	if err != nil {
		log.Fatal(err)
	}
	if err := target.Dispatch(ctx, eventtarget.Event[string]{Type: "greeting", ID: "ada", Payload: "hello"}); err != nil {
		log.Fatal(err)
	}
	if err := target.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ada says hello
}

// A call that waits for listeners must not be made inside one: it would wait for itself.
func ExampleCallerOf() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	target := inprocess.New[string](nil)
	flush := func(ctx context.Context) error {
		if eventtarget.CallerOf(ctx) != eventtarget.NotListener {
			return eventtarget.ErrWouldBlock
		}
		return target.Shutdown(ctx)
	}
	_, err := target.Add(ctx, eventtarget.T("end", "*"), eventtarget.Func(
		func(ctx context.Context, _ eventtarget.Event[string]) {
			fmt.Println("inside:", flush(ctx))
		}))
	if err != nil {
		log.Fatal(err)
	}
	if err := target.Dispatch(ctx, eventtarget.Event[string]{Type: "end"}); err != nil {
		log.Fatal(err)
	}
	err = flush(ctx)
	fmt.Println("outside:", err)
	// Output:
	// inside: would wait inside a listener
	// outside: <nil>
}

// A program that has schemes of its own opens its targets by URL. Package open has a Mux
// with all of ours.
func ExampleMux_Open() {
	ctx := context.Background()
	var mux eventtarget.Mux
	mux.Handle("diary", func(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
		if err := eventtarget.CheckParameters(u, "echo"); err != nil {
			return nil, err
		}
		return inprocess.New[eventtarget.Raw](nil), nil
	})
	for _, rawURL := range []string{"diary://ada?echo=false", "diary://ada?eco=false", "gopher://ada"} {
		target, err := mux.Open(ctx, rawURL)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(rawURL, "is", target.State())
		target.Close()
	}
	// Output:
	// diary://ada?echo=false is up
	// eventtarget: diary: open: unknown parameter "eco" (known: echo)
	// eventtarget: open: unknown scheme "gopher" (known: diary)
}
