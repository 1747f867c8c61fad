package open_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
)

var double = eventtarget.Method[int, int]{Name: "double", Requests: eventtarget.JSON[int](), Answers: eventtarget.JSON[int]()}

func answer(_ context.Context, e eventtarget.Event[int]) (int, error) {
	if e.Payload < 0 {
		return 0, errors.New("negative")
	}
	return 2 * e.Payload, nil
}

// asked calls from a target, and checks what it is answered.
func asked(t *testing.T, from eventtarget.Target) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if n, err := double.Call(ctx, from, 21); n != 42 || err != nil {
		return fmt.Errorf("twice 21 is %d, %w", n, err)
	}
	_, err := double.Call(ctx, from, -1)
	if f, ok := errors.AsType[*eventtarget.Failure](err); !ok || f.Text != "negative" {
		return fmt.Errorf("twice -1: %w", err)
	}
	return nil
}

// TestCall: a call is answered over every scheme, and through bridges.
func TestCall(t *testing.T) {
	redisURL := redistest.Start(t).URL()
	for name, urls := range map[string][2]string{
		"mem":      {"mem://call", "mem://call"},
		"ws":       twice(relay(t).ws),
		"quic":     twice(relayQUIC(t)),
		"redis":    twice(redisURL),
		"two hubs": {joined(t, redisURL+"?prefix=bp"), joined(t, redisURL+"?prefix=bp")},
	} {
		caller, server := up(t, urls[0]), up(t, urls[1])
		if _, err := double.Serve(t.Context(), server, answer, nil); err != nil {
			t.Fatal(err)
		}
		if err := asked(t, caller); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// up opens a target and waits until it is connected.
func up(t *testing.T, url string) eventtarget.Endpoint {
	t.Helper()
	target := openURL(t, url)
	if err := target.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return target
}

func twice(url string) [2]string { return [2]string{url, url} }

// TestCallPrivate: what a hub answers, only the one who asked hears.
func TestCallPrivate(t *testing.T) {
	hub := relay(t)
	caller, other := up(t, hub.ws), up(t, hub.ws)
	heard := make(chan string, 100)
	if _, err := other.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { heard <- e.Type })); err != nil {
		t.Fatal(err)
	}
	if _, err := double.Serve(t.Context(), hub, answer, nil); err != nil {
		t.Fatal(err)
	}
	if err := asked(t, caller); err != nil {
		t.Error(err)
	}
	if err := dispatch(t, caller, `1`); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"double.requested", "double.requested", "t"} {
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("another heard %s, not %s", got, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("another has not heard %s", want)
		}
	}
}
