package main_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// TestBackplane: two hubs on one Redis are one to their spokes: what a spoke of the one
// dispatches, and what is posted there, the spokes of the other hear, once and in order.
func TestBackplane(t *testing.T) {
	server := redistest.Start(t)
	one, _ := startHub(t, "--backplane", server.URL())
	two, _ := startHub(t, "--backplane", server.URL())
	a, b, c := connect(t, one), connect(t, one), connect(t, two)
	heard := map[string]<-chan eventtarget.Event[raw]{}
	for name, target := range map[string]eventtarget.Target{"a": a, "b": b, "c": c} {
		heard[name] = hear(t, target, eventtarget.T("n", "*"))
	}
	// Plain words first: whoever hears the last of them is joined.
	const events = 200
	for n := range events {
		if err := a.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "n", Payload: raw(strconv.Itoa(n))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"b", "c"} {
		for n := range events {
			if e := next(t, heard[name]); string(e.Payload) != strconv.Itoa(n) {
				t.Fatalf("%s heard %s as number %d", name, e.Payload, n)
			}
		}
	}
	url := strings.TrimSuffix(strings.Replace(two, "ws://", "http://", 1), "/ws") + "/dispatch"
	res, err := http.Post(url, "application/json", strings.NewReader(`{"type":"n","id":"posted","payload":-1}`))
	if err != nil || res.StatusCode != http.StatusAccepted {
		t.Fatalf("POST %s: %v, %v", url, res, err)
	}
	res.Body.Close()
	for _, name := range []string{"a", "b", "c"} {
		if e := next(t, heard[name]); e.ID != "posted" {
			t.Errorf("%s heard %s:%s %s", name, e.Type, e.ID, e.Payload)
		}
	}
	for name, events := range heard {
		if len(events) > 0 {
			t.Errorf("%s heard %d events too many", name, len(events))
		}
	}
}
