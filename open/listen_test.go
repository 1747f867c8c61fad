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
	secure := httptest.NewTLSServer(ssehub.NewHandler(hub.Hub.Hub, ssehub.HandlerOptions{}))
	t.Cleanup(secure.Close)
	speaker := up(t, hub.ws)
	asks := "?topic=said:*&topic=seen:*&topic=last:*"
	for _, url := range []string{hub.ws, hub.ws + "?subscribe=true", hub.wss, hub.quic, "sse+" + server.URL, "sse+" + server.URL + asks, "sse+" + secure.URL} {
		listener := up(t, url)
		heard, ended := &transcript{heard: map[string][]string{}}, make(chan struct{})
		note := func(listener string) eventtarget.Listener[raw] {
			l := eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
				switch e.Type {
				case "last":
					close(ended)
				case "said", "seen":
					heard.add(listener, e)
				}
			})
			l.Inline = true // when one has heard the last word, all have heard what was said before
			return l
		}
		for _, l := range []struct {
			name  string
			topic eventtarget.Topic
		}{{"exact", eventtarget.T("said", "1")}, {"type", eventtarget.T("said", "*")}, {"everything", eventtarget.T("*", "*")}} {
			if _, err := listener.Add(t.Context(), l.topic, note(l.name)); err != nil {
				t.Fatal(err)
			}
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
		for name, want := range map[string][]string{
			"exact": {shown[0], shown[4]}, "type": {shown[0], shown[1], shown[4]}, "everything": shown,
		} {
			if got := heard.heard[name]; !slices.Equal(got, want) {
				t.Errorf("%s: %s heard\n%q, want\n%q", url, name, got, want)
			}
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
