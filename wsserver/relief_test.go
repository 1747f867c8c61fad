package wsserver_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestStuckListener: a client whose event an Inline listener of the hub does not return
// from is not taken for dead, hears what is dispatched, and is heard once it does.
func TestStuckListener(t *testing.T) {
	const beat, beats = 100 * time.Millisecond, 20
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			h, url := newHub(t, wsserver.Options{Options: hub.Options{Heartbeat: beat}})
			may, said := make(chan struct{}), make(chan string, 2*beats)
			t.Cleanup(func() { close(may) })
			_, err := h.Add(t.Context(), eventtarget.T("said", "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
				if e.ID == "0" {
					<-may
				}
				said <- e.ID
			}})
			if err != nil {
				t.Fatal(err)
			}
			c, err := wsclient.New(url, &wsclient.Options{Plain: plain, Options: link.Options{OnFault: func(f eventtarget.Fault) { t.Error(f) }}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			heard := make(chan string, beats)
			if _, err := c.Add(t.Context(), eventtarget.T("told", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) { heard <- e.ID })); err != nil {
				t.Fatal(err)
			}
			if err := c.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			tick := time.NewTicker(beat)
			defer tick.Stop()
			for n := range beats {
				id := fmt.Sprint(n)
				if err := c.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "said", ID: id}); err != nil {
					t.Fatal(err)
				}
				<-tick.C
				if err := h.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "told", ID: id}); err != nil {
					t.Fatal(err)
				}
				expectSoon(t, heard, id)
			}
			may <- struct{}{}
			for n := range beats {
				expectSoon(t, said, fmt.Sprint(n))
			}
		})
	}
}

func expectSoon(t *testing.T, from <-chan string, want string) {
	t.Helper()
	select {
	case got := <-from:
		if got != want {
			t.Fatalf("heard %s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s was not heard", want)
	}
}
