// Command chat is chat rooms over a WebSocket hub in one program: a room is a group of
// the hub, which tells those in it who joins, what is said and who leaves.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

type event = eventtarget.Event[eventtarget.Raw]

// rooms lets spokes join, talk and leave. Its listeners are inline: they run where the
// spoke is read, so that what it does stands in one order with its end.
type rooms struct{ *wsserver.Hub }

type roomKey struct{}

func (r rooms) join(ctx context.Context, e event) {
	if s := e.Source.(*hub.Spoke); s.Value(roomKey{}) == nil && s.Join(e.ID) {
		s.SetValue(roomKey{}, e.ID)
		r.tell(ctx, "joined", e.ID, s.Identity())
	}
}

func (r rooms) say(ctx context.Context, e event) {
	s := e.Source.(*hub.Spoke)
	if text, err := text.Decode(e.Type, e.Payload); err == nil && s.Value(roomKey{}) == e.ID {
		r.tell(ctx, "said", e.ID, s.Identity()+": "+text)
	}
}

// leave is called when a spoke has left the hub, and so its groups.
func (r rooms) leave(s *hub.Spoke, _ eventtarget.Reason) {
	if room, in := s.Value(roomKey{}).(string); in {
		r.tell(context.Background(), "left", room, s.Identity())
	}
}

var text = eventtarget.JSON[string]()

func (r rooms) tell(ctx context.Context, what, room, news string) {
	if payload, err := text.Append(nil, what, news); err == nil {
		_ = r.Group(room).Dispatch(ctx, event{Type: what, ID: room, Payload: payload}) // fails when the hub is closed
	}
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
	}
}

func run(ctx context.Context) (err error) {
	var r rooms
	r.Hub, err = wsserver.New(&wsserver.Options{
		Authenticate: func(r *http.Request) (hub.Grant, error) { return hub.Grant{Identity: r.Header.Get("Name")}, nil },
		Options:      hub.Options{OnDisconnect: func(s *hub.Spoke, why eventtarget.Reason) { r.leave(s, why) }},
	})
	if err != nil {
		return err
	}
	for what, handle := range map[string]func(context.Context, event){"join": r.join, "say": r.say} {
		if _, err := r.Add(ctx, eventtarget.T(what, "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: handle}); err != nil {
			return err
		}
	}
	server := httptest.NewServer(r)
	defer server.Close()
	defer r.Close()

	guests := map[string]*wsclient.Client{}
	heard := map[string]chan string{}
	for _, name := range []string{"ada", "grace", "alan"} {
		c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), &wsclient.Options{Header: http.Header{"Name": {name}}})
		if err != nil {
			return err
		}
		defer c.Close()
		news := make(chan string, 10)
		if _, err := c.Add(ctx, eventtarget.T("*", "*"), eventtarget.Func(func(_ context.Context, e event) {
			news <- fmt.Sprintf("%s %s %s", e.ID, e.Type, e.Payload)
		})); err != nil {
			return err
		}
		guests[name], heard[name] = c, news
	}
	for _, do := range []struct{ who, what, room, text, hear string }{
		{"ada", "join", "lobby", "null", "ada"},
		{"alan", "join", "attic", "null", "alan"},
		{"grace", "join", "lobby", "null", "ada grace"},
		{"grace", "say", "lobby", `"good morning"`, "ada grace"},
		{"alan", "say", "attic", `"nobody here"`, "alan"},
		{"grace", "", "", "", "ada"}, // goes
	} {
		if do.what == "" {
			err = guests[do.who].Shutdown(ctx)
		} else {
			err = guests[do.who].Dispatch(ctx, event{Type: do.what, ID: do.room, Payload: eventtarget.Raw(do.text)})
		}
		if err != nil {
			return err
		}
		for who := range strings.FieldsSeq(do.hear) {
			fmt.Println(who, "hears", <-heard[who])
		}
	}
	return nil
}
