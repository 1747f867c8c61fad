package filestore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
)

// What a hub has accepted is there for the one that takes its place. The next hub reads it
// by itself; here it is printed.
func ExampleOpen() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "filestore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	store, err := filestore.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	h, err := hub.New(hub.Options{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	if err := h.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "news", ID: "today"}); err != nil {
		log.Fatal(err)
	}
	_ = h.Close() // the process dies
	<-h.Done()
	_ = store.Close()

	store, err = filestore.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	for r, err := range store.Restore() {
		if err != nil {
			log.Fatal(err)
		}
		if r.Kind == hub.RecordEvent {
			fmt.Printf("%s\n", r.Message)
		}
	}
	// Output:
	// {"type":"news","id":"today","seq":1}
}
