package quichub_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// TestNotGreeted: a plain spoke that a hub will not have, because it goes, is full or has one of that
// identity, is told so in place of the greeting: it is never up, and so tells no gap for each attempt.
func TestNotGreeted(t *testing.T) {
	for _, c := range []struct {
		name  string
		close bool
		o     hub.Options
		code  eventtarget.Code
	}{
		{"closed", true, hub.Options{}, eventtarget.CodeGoingAway},
		{"full", false, hub.Options{Spokes: 1}, eventtarget.CodeTryLater},
		{"there already", false, hub.Options{Duplicates: hub.Refuse}, eventtarget.CodePolicy},
	} {
		t.Run(c.name, func(t *testing.T) {
			joined, left := make(chan *hub.Spoke, 1), make(chan struct{})
			c.o.OnFault = quiet
			c.o.OnConnect = func(s *hub.Spoke) { joined <- s }
			c.o.OnDisconnect = func(*hub.Spoke, eventtarget.Reason) { <-left } // so the hub is not done
			h := newHub(t, quichub.Options{Options: c.o})
			defer close(left)
			newSpoke(t, h.Addr().String(), quicspoke.Options{Options: link.Options{OnFault: quiet}})
			receive(t, joined)
			if c.close {
				h.Close()
			}
			s := newSpoke(t, h.Addr().String(), quicspoke.Options{Plain: true, Options: link.Options{
				OnFault: quiet,
				Retry:   func(error) bool { return false },
				OnState: func(c link.Change) {
					if c.State == eventtarget.StateUp {
						t.Error("it is up")
					}
				},
			}})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := s.Ready(ctx)
			if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != c.code || !r.Remote || !errors.Is(err, eventtarget.ErrClosed) {
				t.Errorf("Ready says %v", err)
			}
		})
	}
}
