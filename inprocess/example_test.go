package inprocess_test

import (
	"context"
	"fmt"
	"log"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

func ExampleNew() {
	ctx := context.Background()
	type Order struct{ Total int }

	orders := inprocess.New[Order](nil)
	_, err := orders.Add(ctx, eventtarget.T("order.placed", "*"), eventtarget.Func(
		func(_ context.Context, e eventtarget.Event[Order]) {
			fmt.Println("order", e.ID, "costs", e.Payload.Total)
		}))
	if err != nil {
		log.Fatal(err)
	}
	for id, total := range []int{30, 12} {
		e := eventtarget.Event[Order]{Type: "order.placed", ID: fmt.Sprint(id), Payload: Order{total}}
		if err := orders.Dispatch(ctx, e); err != nil {
			log.Fatal(err)
		}
	}
	// Dispatch does not wait for listeners; Shutdown does.
	if err := orders.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// order 0 costs 30
	// order 1 costs 12
}

// What one member dispatches, all hear.
func ExampleBus_Join() {
	ctx := context.Background()
	var bus inprocess.Bus
	ada := bus.Join(&inprocess.MemberOptions{NoEcho: true})
	grace := bus.Join(nil)
	defer ada.Close()
	defer grace.Close()

	for name, member := range map[string]*inprocess.Member{"ada": ada, "grace": grace} {
		// Inline listeners are quick, and have run when Dispatch returns.
		_, err := member.Add(ctx, eventtarget.T("greeting", "*"), eventtarget.Listener[eventtarget.Raw]{
			Inline: true,
			Handle: func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
				fmt.Printf("%s hears %s from %s\n", name, e.Payload, e.ID)
			},
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	err := ada.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "greeting", ID: "ada", Payload: eventtarget.Raw(`"hello"`)})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// grace hears "hello" from ada
}
