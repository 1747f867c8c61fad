package open_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// TestSwapListener: who only listens hears the same over every way to a hub. Whether a
// target can dispatch, its card says.
func TestSwapListener(t *testing.T) {
	hub := relay(t)
	server := httptest.NewServer(ssehub.NewHandler(hub.Hub.Hub, ssehub.HandlerOptions{}))
	t.Cleanup(server.Close)
	speaker := up(t, hub.ws)
	for _, url := range []string{hub.ws, hub.quic, "sse+" + server.URL} {
		listener := up(t, url)
		heard, ended := &transcript{heard: map[string][]string{}}, make(chan struct{})
		if _, err := listener.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
			switch e.Type {
			case "last":
				close(ended)
			case "aside": // of the listener before
			default:
				heard.add("it", e)
			}
		})); err != nil {
			t.Fatal(err)
		}
		for _, e := range append(slices.Clone(said), eventtarget.Event[raw]{Type: "last"}) {
			if err := speaker.Dispatch(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatalf("%s has not heard the last word", url)
		}
		if got := heard.heard["it"]; !slices.Equal(got, shown) {
			t.Errorf("%s heard\n%q, want\n%q", url, got, shown)
		}
		card, err := open.Card(url)
		if err != nil {
			t.Fatal(err)
		}
		err = listener.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "aside"})
		if can := !errors.Is(err, errors.ErrUnsupported); can != slices.Contains(card, open.Bidirectional) {
			t.Errorf("%s: Dispatch: %v, and the card says %q", url, err, card)
		}
		listener.Close()
	}
}
