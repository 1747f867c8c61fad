package hub

import (
	"context"
	"errors"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestAwaitKnown: what is known when ctx ends is told.
func TestAwaitKnown(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j := &journal{room: room{maxEvents: 1, maxBytes: 1}, wake: make(chan struct{}, 1)}
	for range 100 { // one of two cases that are ready is picked at random
		for _, want := range []error{nil, eventtarget.ErrClosed} {
			p, err := j.enter(entry{})
			if err != nil {
				t.Fatal(err)
			}
			p.entry.finish(want)
			j.leave(p.entry)
			if err := j.await(ctx, p); !errors.Is(err, want) {
				t.Fatalf("await: %v, want %v", err, want)
			}
		}
	}
}
