package eventtarget_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
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
