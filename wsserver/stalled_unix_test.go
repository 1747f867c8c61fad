//go:build unix && !eventtarget_portable

package wsserver_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestStalledApart: spokes that stall one after the other, each at another place of a log that
// goes on, do not keep its segments, where a socket can be written to without waiting.
func TestStalledApart(t *testing.T) {
	const (
		stalled  = 200
		perSpoke = 24 << 10 // as above, and a message
		size     = 1 << 10
		each     = 128 // messages: more than two segments
	)
	joined := make(chan struct{}, 1)
	o := hub.Options{LogBytes: 1 << 20, WriteTimeout: time.Hour, Heartbeat: -1, Overflow: eventtarget.DropOldest,
		OnFault: func(eventtarget.Fault) {}, OnConnect: func(*hub.Spoke) { joined <- struct{}{} }}
	h, err := wsserver.New(&wsserver.Options{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	defer server.Close()
	defer func() { h.Close(); await(t, h.Done()) }()
	// What an Inline listener dispatches waits for nobody.
	done := make(chan error, 1)
	many := func(ctx context.Context, _ eventtarget.Event[raw]) {
		var err error
		for n := 0; n < each && err == nil; n++ {
			err = h.Dispatch(ctx, event("n", "", fmt.Sprintf(`"%0*d"`, size, n)))
		}
		done <- err
	}
	if _, err := h.Add(t.Context(), eventtarget.T("go", ""), eventtarget.Listener[raw]{Inline: true, Handle: many}); err != nil {
		t.Fatal(err)
	}
	c, err := wsclient.New("ws://"+server.Listener.Addr().String(), &wsclient.Options{Options: link.Options{Subscribe: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-joined
	before := memory()
	for range stalled {
		far, _ := enter(t, server.Listener.Addr().String(), "/stalled")
		if err := far.SetReadBuffer(kernelBuffer); err != nil {
			t.Fatal(err)
		}
		<-joined
		if err := c.Dispatch(t.Context(), event("go", "", "0")); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if used, most := memory()-before, o.LogBytes+stalled*perSpoke; used > most {
		t.Errorf("%d KiB more than before, want at most %d", used>>10, most>>10)
	}
}
