package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

const reloadRate = 1000 // events a second

// TestReload: while 100 spokes, or 1000 in a soak, hear 1000 events a second the
// configuration changes again and again. Nobody is dropped, nothing is lost, and what has
// changed holds. The rate that was reached is told and not a condition: Dispatch takes
// microseconds, but all spokes are in one process, and on a machine with much else to do the
// goroutine that dispatches is woken up late.
func TestReload(t *testing.T) {
	reloadSpokes, reloadSeconds := nemesis.Times(1000), 2
	if os.Getenv(nemesis.Soak) != "" {
		reloadSeconds = 10
	}
	dir := t.TempDir()
	put(t, dir, "ann.token", "ann-"+token)
	put(t, dir, "bob.token", "bob-"+token)
	// A machine that has much else to do makes nobody slow or silent here.
	const first = "write-timeout: 2m\nheartbeat: 2m\nhttp:\n  address: 127.0.0.1:1\ntokens:\n  - identity: ann\n    token-file: DIR/ann.token\n"
	hub := runHub(t, dir, first)
	url := hub.urls[0]
	if status := knock(t, url, "bob-"+token); status != http.StatusUnauthorized {
		t.Errorf("bob, who is withdrawn or unknown, is told %d", status)
	}

	type hearing struct {
		next   int
		wrong  string
		faults <-chan eventtarget.Fault
	}
	all := make([]hearing, reloadSpokes)
	events := reloadRate * reloadSeconds
	var heard sync.WaitGroup
	for i := range all {
		c, faults := come(t, url, "ann-"+token)
		all[i].faults = faults
		heard.Add(1)
		if _, err := c.Add(deadline(t), eventtarget.T("n", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
			h := &all[i]
			if string(e.Payload) != strconv.Itoa(h.next) && h.wrong == "" {
				h.wrong = fmt.Sprintf("heard %s in place of %d", e.Payload, h.next)
			}
			if h.next++; h.next == events {
				heard.Done()
			}
		})); err != nil {
			t.Fatal(err)
		}
	}
	speaker, speakerFaults := come(t, url, "ann-"+token)
	spoken := make(chan error, 1)
	begun := time.Now()
	var spokenIn, waited, late time.Duration // in all; in Dispatch; the latest wake-up of the driver
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := 0; n < events; {
			before := time.Now()
			<-tick.C
			late = max(late, time.Since(before))
			// All that is due by now, so that a late tick makes no lower rate.
			for due := int(time.Since(begun).Seconds() * reloadRate); n < min(due, events); n++ {
				before := time.Now()
				if err := speaker.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "n", Payload: raw(strconv.Itoa(n))}); err != nil {
					spoken <- err
					return
				}
				waited += time.Since(before)
			}
		}
		spokenIn = time.Since(begun)
		spoken <- nil
	}()

	const bob = "  - identity: bob\n    token-file: DIR/bob.token\n"
	hub.reload(first+bob, 1)
	if status := knock(t, url, "bob-"+token); status != http.StatusSwitchingProtocols {
		t.Errorf("bob is told %d", status)
	}
	hub.reload(first+"topics:\n  - topic: \"*\"\n    subscribe: [ann]\n    dispatch: [ann]\norigins: [\"https://a.example\"]\n", 2)
	if status := knock(t, url, "bob-"+token); status != http.StatusUnauthorized {
		t.Errorf("bob, who is withdrawn or unknown, is told %d", status)
	}
	hub.reload(first+"limits:\n  spokes: 5\n", 3)
	if status := knock(t, url, "ann-"+token); status != http.StatusServiceUnavailable {
		t.Errorf("one too many is told %d", status)
	}
	hub.reload(strings.Replace(first, ":1\n", ":2\n", 1)+"relay: false\noverflow: block\n", 4)
	for _, key := range []string{"relay", "overflow"} {
		hub.said("this change waits for a restart\" key="+key+" ", 1)
	}
	if strings.Contains(hub.output(), "restart\" key=http.address") {
		t.Error("a key that the environment overrides has not changed")
	}
	hub.write("tokens:\n  - identity: ann\n    token: " + token + "\n")
	hub.signal(syscall.SIGHUP)
	if line := hub.said("not reloaded", 1); !strings.Contains(line, "hub.yaml:3:5") || !strings.Contains(line, "token-file: FILE") {
		t.Errorf("a broken configuration is told as %s", line)
	}
	for n := 5; time.Since(begun) < time.Duration(reloadSeconds-1)*time.Second; n++ {
		hub.reload(first+"retain: [\"kept:"+strconv.Itoa(n)+"\"]\n", n)
	}

	if err := <-spoken; err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { heard.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Error("not everyone heard everything")
	}
	heardIn := time.Since(begun)
	hub.signal(syscall.SIGTERM)
	if err := hub.end(); err != nil {
		t.Errorf("the hub ended with %v", err)
	}
	if t.Failed() {
		return // what is told below may still be written
	}
	wrong := 0
	for i, h := range all {
		if h.wrong != "" {
			t.Errorf("spoke %d: %s", i, h.wrong)
		}
		wrong += lost(t, h.faults)
	}
	if wrong += lost(t, speakerFaults); wrong > 0 {
		t.Errorf("%d faults before the hub ended", wrong)
	}
	t.Logf("%d spokes, %d reloads; %d events dispatched at %.0f/s, of which %v in Dispatch, the driver woke up at most %v late; heard by all %v later, %.0f hearings/s",
		reloadSpokes, strings.Count(hub.output(), "msg=reloaded"), events, float64(events)/spokenIn.Seconds(), waited, late,
		heardIn-spokenIn, float64(events*reloadSpokes)/heardIn.Seconds())
}

// lost counts the faults of a spoke but those that tell that the hub has ended.
func lost(t *testing.T, faults <-chan eventtarget.Fault) (n int) {
	for len(faults) > 0 {
		if f := <-faults; !strings.Contains(f.Error(), "going away") && !strings.Contains(f.Error(), "connection refused") {
			t.Log(f)
			n++
		}
	}
	return n
}

// TestNobodyWithdrawn: a reload with which nobody is let in without a token any more ends who
// came without one.
func TestNobodyWithdrawn(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "ann.token", "ann-"+token)
	const tokens = "tokens:\n  - identity: ann\n    token-file: DIR/ann.token\n"
	hub := runHub(t, dir, "relay: true\n")
	_, faults := come(t, hub.urls[0], "")
	if line := hub.reload(tokens+"anonymous: true\n", 1); !strings.Contains(line, "withdrawn=0") || len(faults) > 0 {
		t.Errorf("who may stay is told %d faults; the hub says %s", len(faults), line)
	}
	if line := hub.reload(tokens, 2); !strings.Contains(line, "withdrawn=1") {
		t.Errorf("the hub says %s", line)
	}
	select {
	case f := <-faults:
		if !strings.Contains(f.Error(), "withdrawn") {
			t.Errorf("told %v", f)
		}
	case <-time.After(20 * time.Second):
		t.Error("who came without a token stays")
	}
}

// TestWithdrawn: a reload ends those who came with what is withdrawn, and those who hear
// what they may no longer; the others stay.
func TestWithdrawn(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	text.WriteString("tokens:\n")
	clients := map[string]<-chan eventtarget.Fault{}
	names := []string{"ann", "bob", "cyn"}
	for _, name := range names {
		put(t, dir, name+".token", name+"-"+token)
		fmt.Fprintf(&text, "  - identity: %s\n    token-file: DIR/%s.token\n", name, name)
	}
	hub := runHub(t, dir, text.String())
	var ann eventtarget.Target
	for _, name := range names {
		c, faults := come(t, hub.urls[0], name+"-"+token)
		if _, err := c.Add(deadline(t), eventtarget.T("secret", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {})); err != nil {
			t.Fatal(err)
		}
		clients[name] = faults
		if name == "ann" {
			ann = c
		}
	}
	put(t, dir, "bob.token", "changed-"+token) // bob's token was rotated, cyn may not hear it any more
	line := hub.reload(text.String()+"topics:\n  - topic: \"secret:*\"\n    subscribe: [ann, bob]\n    dispatch: [ann]\n", 1)
	if !strings.Contains(line, "withdrawn=2") {
		t.Errorf("the hub says %s", line)
	}
	for _, name := range []string{"bob", "cyn"} {
		select {
		case f := <-clients[name]:
			if !strings.Contains(f.Error(), "not allowed") && !strings.Contains(f.Error(), "withdrawn") {
				t.Errorf("%s is told %v", name, f)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s is told nothing", name)
		}
	}
	again := hear(t, ann, eventtarget.T("secret", "1"))
	if err := ann.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "other"}); err != nil {
		t.Fatal(err)
	}
	other, _ := come(t, hub.urls[0], "ann-"+token)
	if err := other.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "secret", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, again); e.Type != "secret" {
		t.Errorf("ann heard %v", e)
	}
	var told []string
	for len(clients["ann"]) > 0 {
		told = append(told, (<-clients["ann"]).Error())
	}
	if slices.ContainsFunc(told, func(s string) bool { return !strings.Contains(s, "no rule lets you dispatch other:") }) {
		t.Errorf("ann, who stays, is told %q", told)
	}
}
