package eventtarget_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// A registry is the half of an adapter that has nothing to do with its wire.
func ExampleNewRegistry() {
	ctx := context.Background()
	registry := eventtarget.NewRegistry[string](eventtarget.RegistryOptions{
		Adapter: "pigeon",
		OnFault: func(f eventtarget.Fault) { fmt.Println(f) },
	})
	_, err := registry.Add(ctx, eventtarget.T("letter", "*"), eventtarget.Func(
		func(_ context.Context, e eventtarget.Event[string]) {
			fmt.Println("for", e.ID, "came", e.Payload)
		}))
	if err != nil {
		log.Fatal(err)
	}
	// For each event that arrives:
	err = registry.Deliver(ctx, eventtarget.Event[string]{Type: "letter", ID: "ada", Payload: "a letter"})
	if err != nil {
		log.Fatal(err)
	}
	// At the end; it waits for the listeners.
	if err := registry.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// for ada came a letter
}

// Views with Go types stand over a target that carries JSON text.
func ExampleTyped() {
	ctx := context.Background()
	target := inprocess.New[eventtarget.Raw](nil) // or a WebSocket, a hub, …

	type Message struct{ Text string }
	chat := eventtarget.Typed(target, eventtarget.JSON[Message]())
	_, err := chat.Add(ctx, eventtarget.T("chat.said", "lobby"), eventtarget.Func(
		func(_ context.Context, e eventtarget.Event[Message]) {
			fmt.Println(e.Payload.Text)
		}))
	if err != nil {
		log.Fatal(err)
	}
	err = chat.Dispatch(ctx, eventtarget.Event[Message]{Type: "chat.said", ID: "lobby", Payload: Message{"hello"}})
	if err != nil {
		log.Fatal(err)
	}
	if err := target.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello
}

// A subscription collects from the moment that Subscribe returns; range over it
// when it suits.
func ExampleSubscribe() {
	ctx := context.Background()
	target := inprocess.New[int](nil)
	readings, err := eventtarget.Subscribe(ctx, target, eventtarget.T("temperature", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}
	for _, degrees := range []int{19, 21, 24} {
		e := eventtarget.Event[int]{Type: "temperature", ID: "kitchen", Payload: degrees}
		if err := target.Dispatch(ctx, e); err != nil {
			log.Fatal(err)
		}
	}
	for e, err := range readings.All(ctx) {
		if err != nil {
			log.Fatal(err) // ctx has ended, the target was closed, or events were lost
		}
		fmt.Println(e.ID, e.Payload)
		if e.Payload > 20 {
			break
		}
	}
	readings.Close()
	// Output:
	// kitchen 19
	// kitchen 21
}

// A listener that lives for as long as a context: a request's, say.
func ExampleAddFor() {
	ctx := context.Background()
	target := inprocess.New[string](nil)
	defer target.Close()

	request, cancel := context.WithCancel(ctx)
	reg, err := eventtarget.AddFor(request, target, eventtarget.T("news", ""), eventtarget.Listener[string]{
		Inline: true,
		Handle: func(_ context.Context, e eventtarget.Event[string]) { fmt.Println(e.Payload) },
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := target.Dispatch(ctx, eventtarget.Event[string]{Type: "news", Payload: "heard"}); err != nil {
		log.Fatal(err)
	}
	cancel()
	<-reg.Done()
	if err := target.Dispatch(ctx, eventtarget.Event[string]{Type: "news", Payload: "not heard"}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// heard
}

// What is dispatched on one side of a bridge is heard on the other.
func ExampleBridge() {
	ctx := context.Background()
	var left, right inprocess.Bus
	leftEnd, rightEnd := left.Join(nil), right.Join(nil)
	bridge, err := eventtarget.Bridge(ctx, leftEnd, rightEnd, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer bridge.Close()

	ada, grace := left.Join(nil), right.Join(nil)
	heard, err := eventtarget.Subscribe(ctx, grace, eventtarget.T("greeting", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}
	err = ada.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "greeting", ID: "ada", Payload: eventtarget.Raw(`"hello"`)})
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range heard.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("grace hears %s\n", e.Payload)
		break
	}
	// Output:
	// grace hears "hello"
}

func ExampleJSON() {
	type Point struct{ X, Y int }
	codec := eventtarget.JSON[Point]()
	text, err := codec.Append(nil, "moved", Point{1, 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	p, err := codec.Decode("moved", []byte(`{"X":3}`))
	fmt.Println(p, err)
	// Output:
	// {"X":1,"Y":2}
	// {3 0} <nil>
}

func ExampleBytes() {
	codec := eventtarget.Bytes()
	text, err := codec.Append(nil, "image", []byte{0xca, 0xfe})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	b, err := codec.Decode("image", text)
	fmt.Printf("%x %v\n", b, err)
	// Output:
	// "yv4="
	// cafe <nil>
}

// ChatEvent is what happens in a chat.
type ChatEvent interface{ Line() string }

// Said and Left are the kinds of it.
type (
	Said struct{ Who, Text string }
	Left struct{ Who string }
)

func (s *Said) Line() string { return s.Who + ": " + s.Text }
func (l *Left) Line() string { return l.Who + " has left" }

// One view carries events of several Go types.
func ExampleUnion() {
	ctx := context.Background()
	target := inprocess.New[eventtarget.Raw](nil)
	chat := eventtarget.Typed(target, eventtarget.Union(map[string]func() ChatEvent{
		"said": func() ChatEvent { return new(Said) },
		"left": func() ChatEvent { return new(Left) },
	}))
	_, err := chat.Add(ctx, eventtarget.T("*", "*"), eventtarget.Func(
		func(_ context.Context, e eventtarget.Event[ChatEvent]) {
			fmt.Println(e.Payload.Line())
		}))
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range []eventtarget.Event[ChatEvent]{
		{Type: "said", ID: "lobby", Payload: &Said{"ada", "goodbye"}},
		{Type: "left", ID: "lobby", Payload: &Left{"ada"}},
	} {
		if err := chat.Dispatch(ctx, e); err != nil {
			log.Fatal(err)
		}
	}
	if err := target.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ada: goodbye
	// ada has left
}

// What a caller branches on is a sentinel; the rest is in the error's text.
func ExampleError() {
	target := inprocess.New[string](nil)
	target.Close()
	err := target.Dispatch(context.Background(), eventtarget.Event[string]{Type: "news", ID: "1"})
	if errors.Is(err, eventtarget.ErrClosed) {
		fmt.Println(err)
	}
	// Output:
	// eventtarget: inprocess: dispatch news:1: target is closed
}
