package quicspoke_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// BenchmarkDispatch: events of 128 bytes from a spoke, as fast as it can, until the hub in the
// same process has heard the last.
func BenchmarkDispatch(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	h, err := quichub.Listen("127.0.0.1:0", &quichub.Options{
		ListenerOptions: quichub.ListenerOptions{Identity: identity.Config{Key: newKey(), Insecure: true}},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { h.Close(); <-h.Done() }()
	left, heard := b.N, make(chan struct{})
	_, err = h.Add(ctx, eventtarget.T("bench", "*"), eventtarget.Listener[eventtarget.Raw]{
		Inline: true,
		Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) {
			if left--; left == 0 {
				close(heard)
			}
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	s, err := quicspoke.New(h.Addr().String(), &quicspoke.Options{
		Identity: identity.Config{Key: newKey(), Insecure: true},
		Options:  link.Options{Overflow: eventtarget.Block},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { s.Close(); <-s.Done() }()
	if err := s.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	e := eventtarget.Event[eventtarget.Raw]{Type: "bench", ID: "a", Payload: eventtarget.Raw(`"` + strings.Repeat("x", 126) + `"`)}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := s.Dispatch(ctx, e); err != nil {
			b.Fatal(err)
		}
	}
	select {
	case <-heard:
	case <-ctx.Done():
		b.Fatal("the hub has not heard all")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
