package redis_test

import (
	"context"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// BenchmarkStore: a spoke dispatches as fast as its hub takes it, and one of another hub that
// shares the log hears that. Redis has everything on its disk before it answers.
func BenchmarkStore(b *testing.B) {
	server := redistest.Start(b, keeps...)
	hubs := []*hub.Hub{sharing(b, server.URL(), quiet), sharing(b, server.URL(), quiet)}
	from := spoke(b, 0, hubs, link.Options{OnFault: quiet, Overflow: eventtarget.Block})
	to := spoke(b, 1, hubs, link.Options{OnFault: quiet})
	e := eventtarget.Event[raw]{Type: "n", Payload: raw(`"0123456789abcdef0123456789abcdef"`)}
	heard, all := 0, make(chan struct{})
	if _, err := to.Add(b.Context(), e.Topic(), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) {
		if heard++; heard == b.N {
			close(all)
		}
	}}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if err := from.Dispatch(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
	<-all
}
