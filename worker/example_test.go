//go:build unix

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/worker"
)

// square is what the worker of the examples does; parent and child have the same value.
var square = eventtarget.Method[int, int]{
	Name: "square", Requests: eventtarget.JSON[int](), Answers: eventtarget.JSON[int](),
}

// A program that is a worker. The other examples start it; one who starts it by hand is
// told what it is.
func ExampleParent() {
	p, err := worker.Parent(&link.Options{Setup: func(p *link.Link) {
		_, err := square.Serve(context.Background(), p, func(_ context.Context, e eventtarget.Event[int]) (int, error) {
			return e.Payload * e.Payload, nil
		}, nil)
		if err != nil {
			log.Fatal(err)
		}
	}})
	if errors.Is(err, worker.ErrNotWorker) {
		fmt.Println("another program has to start this one")
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	<-p.Done() // the parent has no more work
	// Output:
	// another program has to start this one
}

// A child process that squares numbers. Here it is this program once more.
func ExampleStart() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	w, err := worker.Start(worker.Options{
		Path: path, Args: []string{"child", "example"},
		Restart: worker.OnFailure,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(square.Call(ctx, w, 12))
	fmt.Println(w.Shutdown(ctx))
	// Output:
	// 144 <nil>
	// <nil>
}

// Two processes share the work: each event goes to one of them.
func ExampleStartPool() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	pool, err := worker.StartPool(worker.PoolOptions{
		Size:   2,
		Worker: worker.Options{Path: path, Args: []string{"child", "example"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := pool.Ready(ctx); err != nil {
		log.Fatal(err)
	}
	for n := range 4 {
		fmt.Println(square.Call(ctx, pool.Consumers(), n))
	}
	fmt.Println(pool.Shutdown(ctx))
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 4 <nil>
	// 9 <nil>
	// <nil>
}
