package wsserver_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestBusyBothWays: a client that reads, and itself sends as fast as it can, so that
// its acknowledgements are late, is waited for: it does not fall off the log.
func TestBusyBothWays(t *testing.T) {
	const rounds = 3 // a machine that is behind may hold up a client for too long, once
	for range rounds {
		if busyBothWays(t) == 0 {
			return
		}
	}
	t.Errorf("%d times a client that reads was disconnected for being slow", rounds)
}

// busyBothWays tells how often the client was disconnected for being slow.
func busyBothWays(t *testing.T) int32 {
	t.Helper()
	const log = 2048 // events
	var slow atomic.Int32
	h, url := newHub(t, wsserver.Options{Options: hub.Options{LogEvents: log, OnDisconnect: func(_ *hub.Spoke, reason eventtarget.Reason) {
		if reason.Code == eventtarget.CodeSlow {
			slow.Add(1)
		}
	}}})
	c, err := wsclient.New(url, &wsclient.Options{Options: link.Options{OnFault: func(eventtarget.Fault) {}}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, e := range []eventtarget.Endpoint{h, c} {
		if _, err := e.Add(t.Context(), eventtarget.T("x", ""), eventtarget.Listener[eventtarget.Raw]{
			Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) {},
		}); err != nil {
			t.Fatal(err)
		}
	}
	e := eventtarget.Event[eventtarget.Raw]{Type: "x", Payload: eventtarget.Raw(`"` + strings.Repeat("x", 1000) + `"`)}
	var stop atomic.Bool
	var sending sync.WaitGroup
	sending.Go(func() {
		for !stop.Load() {
			if c.Dispatch(t.Context(), e) != nil { // its log is full
				<-time.After(time.Millisecond)
			}
		}
	})
	for range 4 * log {
		if err := h.Dispatch(t.Context(), e); err != nil {
			t.Error(err)
			break
		}
	}
	stop.Store(true)
	sending.Wait()
	return slow.Load()
}
