package main_test

import (
	"context"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// TestBridgeWaits: the bridge of a hub to one that takes nothing for a while, with more to
// carry than finds room on the way, waits and loses nothing.
func TestBridgeWaits(t *testing.T) {
	const (
		size   = 16 << 10
		events = (16<<20 + 10<<20) / size // what a link keeps by default, and what sockets may hold
	)
	far := runHub(t, t.TempDir(), "relay: true\n")
	way, err := faultnet.NewProxy(strings.TrimSuffix(strings.TrimPrefix(far.urls[0], "ws://"), "/ws"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(way.Close)
	near := runHub(t, t.TempDir(), "bridges:\n  - url: ws://"+way.Addr+"/ws\n")
	a, err := wsclient.New(near.urls[0], &wsclient.Options{Options: link.Options{Overflow: eventtarget.Block, OnFault: func(f eventtarget.Fault) { t.Log(f) }}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b := connect(t, far.urls[0])
	heard, all := 0, make(chan struct{})
	if _, err := b.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) {
		if heard++; heard == events {
			close(all)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	way.Stall()
	e := eventtarget.Event[raw]{Type: "n", Payload: raw(`"` + strings.Repeat("x", size) + `"`)}
	for range events {
		if err := a.Dispatch(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Shutdown(deadline(t)); err != nil { // the hub has them
		t.Fatal(err)
	}
	way.Heal()
	next(t, all)
}
