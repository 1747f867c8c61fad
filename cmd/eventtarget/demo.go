package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/quicspoke"
	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// demoTime bounds the part of the demo that is checked.
const demoTime = 20 * time.Second

func newDemo() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start a hub, join spokes over every transport, and show who hears what",
		Args:  takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(cmd.Context())
			defer stop()
			d := &demo{cmd: cmd, url: fmt.Sprintf("ws://%s/ws", l.Addr()), heard: make(map[string]chan string)}
			h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
				Relay: true, OnFault: warn(cmd),
				OnConnect:    func(s *hub.Spoke) { d.say("hub", "a spoke joined from "+s.Addr()) },
				OnDisconnect: func(s *hub.Spoke, r eventtarget.Reason) { d.say("hub", "a spoke left: "+r.Error()) },
			}})
			if err != nil {
				return err
			}
			if err := d.quic(h.Hub); err != nil {
				return err
			}
			ended := make(chan error, 1)
			go func() { ended <- serve(ctx, l, h) }()
			d.say("hub", "ready at "+d.url)
			talked := d.talk(ctx, h)
			if talked == nil && !once {
				cmd.Printf("\nThe hub goes on. See it in a browser:\n  http://%s/\nIn another shell:\n  eventtarget listen %s '*'\n  eventtarget dispatch %s chat.said lobby '\"hello\"'\nCtrl-C ends it.\n", l.Addr(), d.url, d.url)
				<-cmd.Context().Done()
			}
			stop()
			return errors.Join(talked, <-ended)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "end when everything was heard; the exit status is 1 if it was not")
	return cmd
}

// serve serves the demo's hub until ctx ends, and drains it.
func serve(ctx context.Context, l net.Listener, h *wsserver.Hub) error {
	server := &http.Server{Handler: routes(h, h, true, ssehub.PostOptions{}), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, h.Close())
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), demoTime)
	defer cancel()
	return errors.Join(h.Shutdown(ctx), server.Shutdown(ctx))
}

// demo is the company: a hub, two WebSocket spokes, one over QUIC, one that
// only listens, a child process, a plain peer that
// only knows WebSocket, and a bus in memory that is bridged to the hub.
type demo struct {
	cmd   *cobra.Command
	url   string
	quinn *quicspoke.Spoke
	mu    sync.Mutex
	heard map[string]chan string // what each hears of the others
}

func (d *demo) say(who, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cmd.Printf("%-8s %s\n", who, what)
}

// hears records that somebody heard something.
func (d *demo) hears(who, eventType, id, payload string) {
	d.say(who, fmt.Sprintf("hears %s:%s %s", eventType, id, payload))
	d.mu.Lock()
	c := d.heard[who]
	d.mu.Unlock()
	c <- payload
}

func (d *demo) talk(ctx context.Context, h *wsserver.Hub) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	speakers := []string{"hub", "ada", "grace", "quinn", "plain", "memory", "wanda"}
	names := append(slices.Clone(speakers), "sse") // which only listens
	for _, name := range names {
		d.heard[name] = make(chan string, 100)
	}
	speak := make(map[string]func(payload string) error)
	defer d.quinn.Close()
	if err := d.quinn.Ready(ctx); err != nil {
		return err
	}
	targets := map[string]eventtarget.Target{"hub": h, "quinn": d.quinn}
	mux := open.NewMux(&open.Options{OnFault: warn(d.cmd)})
	for name, url := range map[string]string{
		"ada": d.url + "?echo=false", "grace": d.url + "?echo=false", "wanda": d.url + "?echo=false",
		"sse":    "sse+" + strings.TrimSuffix("http"+strings.TrimPrefix(d.url, "ws"), "/ws") + "/sse?topic=chat.said:*",
		"memory": "mem://demo?echo=false", "bridge": "mem://demo?echo=false",
	} {
		t, err := mux.Open(ctx, url)
		if err != nil {
			return err
		}
		defer t.Close()
		if err := t.Ready(ctx); err != nil {
			return err
		}
		targets[name] = t
	}
	for _, name := range []string{"hub", "ada", "grace", "quinn", "memory", "sse"} {
		t := targets[name]
		if _, err := t.Add(ctx, eventtarget.T("chat.said", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
			d.hears(name, e.Type, e.ID, string(e.Payload))
		})); err != nil {
			return err
		}
		speak[name] = func(payload string) error {
			return t.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "chat.said", ID: "lobby", Payload: eventtarget.Raw(payload)})
		}
	}
	// The bus in memory is one more spoke: a client that is bridged to it.
	spoke, err := mux.Open(ctx, d.url+"?echo=false")
	if err != nil {
		return err
	}
	defer spoke.Close()
	if err := spoke.Ready(ctx); err != nil {
		return err
	}
	bridge, err := eventtarget.Bridge(ctx, targets["bridge"], spoke, nil)
	if err != nil {
		return err
	}
	defer bridge.Close()
	if speak["plain"], err = d.plainPeer(ctx); err != nil {
		return err
	}
	// So is the worker.
	child, err := d.worker(ctx, targets["wanda"])
	if err != nil {
		return err
	}
	if child == nil {
		names = slices.DeleteFunc(names, func(name string) bool { return name == "wanda" })
		speakers = slices.DeleteFunc(speakers, func(name string) bool { return name == "wanda" })
	} else {
		defer child.Close()
		speak["wanda"] = func(payload string) error {
			return child.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "worker.say", ID: "lobby", Payload: eventtarget.Raw(payload)})
		}
	}
	for h.Len() < 7 { // a plain peer is not told when the hub has taken it in
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d of 7 spokes joined", h.Len())
		}
	}
	for _, speaker := range speakers {
		payload, _ := json.Marshal(speaker + " says hello")
		d.say(speaker, "says hello")
		if err := speak[speaker](string(payload)); err != nil {
			return err
		}
		for _, listener := range names {
			if listener == speaker {
				continue
			}
			select {
			case got := <-d.heard[listener]:
				if got != string(payload) {
					return fmt.Errorf("%s heard %s instead of %s", listener, got, payload)
				}
			case <-ctx.Done():
				return fmt.Errorf("%s never heard %s", listener, speaker)
			}
		}
	}
	return d.nothingMore(names)
}

// nothingMore checks that nobody heard anything that was not expected.
func (d *demo) nothingMore(names []string) error {
	for _, name := range names {
		if n := len(d.heard[name]); n > 0 {
			return fmt.Errorf("%s heard %d events too many", name, n)
		}
	}
	d.say("demo", fmt.Sprintf("all %d expected hearings were heard, and no other", (len(names)-1)*(len(names)-1)))
	return nil
}

// quic lets a spoke join over QUIC. Both ends have keys of this moment, and know each
// other's.
func (d *demo) quic(h *hub.Hub) error {
	ours, err := identity.New()
	if err != nil {
		return err
	}
	theirs, err := identity.New()
	if err != nil {
		return err
	}
	l, err := listenQUIC(h, "127.0.0.1:0", identity.Config{Key: ours, Pins: []identity.Pin{theirs.Pin()}})
	if err != nil {
		return err
	}
	d.quinn, err = quicspoke.New(l.Addr().String(), &quicspoke.Options{
		Identity: identity.Config{Key: theirs, Pins: []identity.Pin{ours.Pin()}}, Options: link.Options{OnFault: warn(d.cmd)},
	})
	return err
}

// plainPeer connects with nothing but a WebSocket, as a page in a browser would.
func (d *demo) plainPeer(ctx context.Context) (speak func(payload string) error, err error) {
	ws, _, err := websocket.Dial(ctx, d.url, nil)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = ws.Close(websocket.StatusNormalClosure, "") }) // nobody counts any more what it hears
	go func() {
		defer ws.CloseNow()
		for {
			_, msg, err := ws.Read(context.WithoutCancel(ctx))
			if err != nil {
				return
			}
			var e envelope
			if json.Unmarshal(msg, &e) == nil && strings.HasPrefix(e.Type, "chat.") {
				d.hears("plain", e.Type, e.ID, string(e.Payload))
			}
		}
	}()
	return func(payload string) error {
		return ws.Write(ctx, websocket.MessageText, []byte(`{"type":"chat.said","id":"lobby","payload":`+payload+`}`))
	}, nil
}
