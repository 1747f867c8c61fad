package quicspoke_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// TestTooLarge: a spoke that cannot take a message is not sent it again, which would be so for
// ever, but told a gap, and hears what comes then.
func TestTooLarge(t *testing.T) {
	h, err := quichub.Listen("127.0.0.1:0", &quichub.Options{
		ListenerOptions: quichub.ListenerOptions{Identity: identity.Config{Key: newKey(), Insecure: true}},
		Options:         hub.Options{OnFault: func(eventtarget.Fault) {}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { h.Close(); <-h.Done() }()
	gap, heard := make(chan struct{}, 1), make(chan string, 9)
	s, err := quicspoke.New(h.Addr().String(), &quicspoke.Options{
		Identity: identity.Config{Key: newKey(), Insecure: true},
		Options: link.Options{
			Limits: eventtarget.Limits{Message: 1000}, Backoff: link.Backoff{Max: 50 * time.Millisecond},
			OnFault: func(f eventtarget.Fault) {
				if f.Kind == eventtarget.FaultGap {
					gap <- struct{}{}
				}
			},
			Setup: func(l *link.Link) {
				_, err := l.Add(t.Context(), eventtarget.T("a", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) { heard <- e.ID }))
				if err != nil {
					t.Error(err)
				}
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close(); <-s.Done() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	dispatch := func(id string, size int) {
		e := eventtarget.Event[eventtarget.Raw]{Type: "a", ID: id, Payload: eventtarget.Raw(`"` + strings.Repeat("x", size) + `"`)}
		if err := h.Dispatch(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	dispatch("too large", 200_000)
	select {
	case <-gap:
	case <-ctx.Done():
		t.Fatal("no gap is told")
	}
	dispatch("behind it", 10)
	select {
	case id := <-heard:
		if id != "behind it" {
			t.Errorf("heard what is %s", id)
		}
	case <-ctx.Done():
		t.Error("nothing more is heard")
	}
}
