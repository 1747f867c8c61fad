package eventtarget_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// A method is the same value on both sides; each side has a target of its own.
func ExampleMethod() {
	divide := eventtarget.Method[[2]int, int]{
		Name: "divide", Requests: eventtarget.JSON[[2]int](), Answers: eventtarget.JSON[int](),
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var bus inprocess.Bus
	here, there := bus.Join(nil), bus.Join(nil)
	defer here.Close()
	defer there.Close()
	_, err := divide.Serve(ctx, there, func(_ context.Context, e eventtarget.Event[[2]int]) (int, error) {
		if e.Payload[1] == 0 {
			return 0, errors.New("by zero")
		}
		return e.Payload[0] / e.Payload[1], nil
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(divide.Call(ctx, here, [2]int{42, 6}))
	_, err = divide.Call(ctx, here, [2]int{1, 0})
	if failure, ok := errors.AsType[*eventtarget.Failure](err); ok {
		fmt.Println(failure)
	}
	// Output:
	// 7 <nil>
	// divide failed: by zero
}

// A service that answers two requests at once: each of these is answered only when the
// other one has come.
func ExampleMethod_Serve() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	greet := eventtarget.Method[string, string]{
		Name: "greet", Requests: eventtarget.JSON[string](), Answers: eventtarget.JSON[string](),
	}
	target := inprocess.New[eventtarget.Raw](nil)
	defer target.Close()
	var both sync.WaitGroup
	both.Add(2)
	service, err := greet.Serve(ctx, target, func(_ context.Context, e eventtarget.Event[string]) (string, error) {
		both.Done()
		both.Wait()
		return "hello " + e.Payload, nil
	}, &eventtarget.ServeOptions{Concurrent: 2})
	if err != nil {
		log.Fatal(err)
	}
	var calls sync.WaitGroup
	for _, name := range []string{"ada", "grace"} {
		calls.Go(func() { fmt.Println(greet.Call(ctx, target, name)) })
	}
	calls.Wait()
	service.Close()
	<-service.Done()
	// Unordered output:
	// hello ada <nil>
	// hello grace <nil>
}

// Who hears an event answers it to the one that it came from, whoever else there is.
func ExampleReply() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	near, far := link.Pipe()
	client, err := link.New(link.Options{Conn: near})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	server, err := link.New(link.Options{Conn: far})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	words := eventtarget.Typed(server, eventtarget.JSON[string]())
	_, err = words.Add(ctx, eventtarget.T("word", "*"), eventtarget.Func(func(ctx context.Context, e eventtarget.Event[string]) {
		if err := eventtarget.Reply(ctx, e, "length", eventtarget.JSON[int](), len(e.Payload)); err != nil {
			log.Print(err)
		}
	}))
	if err != nil {
		log.Fatal(err)
	}
	lengths, err := eventtarget.Subscribe(ctx, client, eventtarget.T("length", "1"), 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "word", ID: "1", Payload: eventtarget.Raw(`"event"`)}); err != nil {
		log.Fatal(err)
	}
	for e, err := range lengths.All(ctx) {
		fmt.Printf("%s, %v\n", e.Payload, err)
		break
	}
	// Output:
	// 5, <nil>
}

// What was collected is ranged over, without what nobody wants.
func ExampleFilter() {
	ctx := context.Background()
	target := inprocess.New[int](nil)
	sub, err := eventtarget.Subscribe(ctx, target, eventtarget.T("n", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}
	for n := range 5 {
		if err := target.Dispatch(ctx, eventtarget.Event[int]{Type: "n", Payload: n}); err != nil {
			log.Fatal(err)
		}
	}
	target.Close()
	even := eventtarget.Filter(sub.All(ctx), func(e eventtarget.Event[int]) bool { return e.Payload%2 == 0 })
	words := eventtarget.Map(even, func(e eventtarget.Event[int]) (string, error) {
		return fmt.Sprintf("%d is even", e.Payload), nil
	})
	for e, err := range words {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(e.Payload)
	}
	// Output:
	// 0 is even
	// 2 is even
	// 4 is even
	// eventtarget: subscribe n:*: target is closed
}

// Events come as what they mean. An error of the function ends the sequence with it.
func ExampleMap() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	target := inprocess.New[string](nil)
	texts, err := eventtarget.Subscribe(ctx, target, eventtarget.T("price", "*"), 0)
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"30", "12", "a lot", "7"} {
		if err := target.Dispatch(ctx, eventtarget.Event[string]{Type: "price", Payload: text}); err != nil {
			log.Fatal(err)
		}
	}
	target.Close()
	prices := eventtarget.Map(texts.All(ctx), func(e eventtarget.Event[string]) (int, error) {
		return strconv.Atoi(e.Payload)
	})
	sum := 0
	for e, err := range prices {
		if err != nil {
			fmt.Println(err)
			break
		}
		sum += e.Payload
	}
	fmt.Println(sum)
	// Output:
	// strconv.Atoi: parsing "a lot": invalid syntax
	// 42
}
