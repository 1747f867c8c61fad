package quichub_test

import (
	"context"
	"errors"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// TestNotGreeted: a plain spoke that a hub will not have, because it goes or is full, is told so
// in place of the greeting: it is never up, and so tells no gap for each attempt.
func TestNotGreeted(t *testing.T) {
	for _, c := range []struct {
		name  string
		close bool
		code  eventtarget.Code
	}{{"closed", true, eventtarget.CodeGoingAway}, {"full", false, eventtarget.CodeTryLater}} {
		t.Run(c.name, func(t *testing.T) {
			joined, left := make(chan *hub.Spoke, 1), make(chan struct{})
			h := newHub(t, quichub.Options{Options: hub.Options{
				Spokes: 1, OnFault: quiet,
				OnConnect:    func(s *hub.Spoke) { joined <- s },
				OnDisconnect: func(*hub.Spoke, eventtarget.Reason) { <-left }, // so the hub is not done
			}})
			defer close(left)
			newSpoke(t, h.Addr().String(), quicspoke.Options{Options: link.Options{OnFault: quiet}})
			receive(t, joined)
			if c.close {
				h.Close()
			}
			failed := make(chan error, 1)
			s := newSpoke(t, h.Addr().String(), quicspoke.Options{Plain: true, Options: link.Options{
				OnFault: quiet,
				Retry:   func(cause error) bool { failed <- cause; return false },
				OnState: func(c link.Change) {
					if c.State == eventtarget.StateUp {
						t.Error("it is up")
					}
				},
			}})
			err := receive(t, failed)
			if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != c.code || !r.Remote {
				t.Errorf("the attempt failed with %v", err)
			}
			if err := s.Ready(context.Background()); !errors.Is(err, eventtarget.ErrClosed) {
				t.Errorf("Ready says %v", err)
			}
		})
	}
}
