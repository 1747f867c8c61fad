package redis_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// sharing returns a hub that shares the log of a server, and tells its faults and the log's.
func sharing(t testing.TB, url string, tell func(eventtarget.Fault)) *hub.Hub {
	t.Helper()
	store, err := redis.OpenStore(t.Context(), url, &redis.Options{OnFault: tell})
	if err != nil {
		t.Fatal(err)
	}
	h, err := hub.New(hub.Options{Relay: true, Store: store, OnFault: tell})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.Close()
		<-h.Done()
		_ = store.Close()
	})
	return h
}

// negotiated is a connection both of whose ends know sessions.
type negotiated struct{ *link.PipeConn }

func (negotiated) Protocol() int { return 1 }

// spoke connects to each of some hubs in turn.
func spoke(t testing.TB, first int, hubs []*hub.Hub, o link.Options) *link.Link {
	t.Helper()
	next := first
	o.Subscribe, o.Backoff = true, link.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond}
	o.Dial = func(context.Context) (link.Conn, error) {
		near, far := link.Pipe()
		go hubs[next%len(hubs)].Attach(negotiated{far}, hub.Meta{})
		next++
		return negotiated{near}, nil
	}
	l, err := link.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Close()
		<-l.Done()
	})
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestNemesisStore: spokes of three hubs talk to each other while the server with the hubs'
// log is killed and started again: nothing is lost, doubled or out of order.
func TestNemesisStore(t *testing.T) {
	server := redistest.Start(t, keeps...)
	hubs := []*hub.Hub{sharing(t, server.URL(), quiet), sharing(t, server.URL(), quiet), sharing(t, server.URL(), quiet)}
	var history nemesis.History
	var publishers []*nemesis.Publisher
	for n := range hubs {
		publishers = append(publishers, history.Publisher(fmt.Sprint("spoke", n)))
	}
	topic := eventtarget.T("n", "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, len(hubs))
	var links []*link.Link
	for n := range hubs {
		var others []*nemesis.Publisher
		for i, p := range publishers {
			if i != n {
				others = append(others, p)
			}
		}
		l := history.Listener(fmt.Sprint("spoke", n), others...)
		s := spoke(t, n, hubs, link.Options{OnFault: l.Fault})
		if _, err := s.Add(t.Context(), topic, eventtarget.Func(l.Handle)); err != nil {
			t.Fatal(err)
		}
		links = append(links, s)
	}
	for n, p := range publishers {
		go func() { ended <- p.Traffic(ctx, math.MaxInt, links[n], topic, 2*time.Millisecond) }()
	}
	for range nemesis.Times(50) {
		pause := time.NewTimer(300 * time.Millisecond)
		<-pause.C
		server.Kill()
		pause.Reset(down)
		<-pause.C
		server.Restart()
	}
	stop()
	for range hubs {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if v := history.Await(t, 30*time.Second); v.LostAnnounced > 0 {
		t.Errorf("%d events were lost, and that was told", v.LostAnnounced)
	}
}

// TestStoreForeignWriters: what somebody else writes into the log is counted and passed over,
// by hubs that are there and by one that begins later.
func TestStoreForeignWriters(t *testing.T) {
	server := redistest.Start(t)
	decoded := make(chan eventtarget.Fault, 100)
	tell := func(f eventtarget.Fault) {
		if f.Kind == eventtarget.FaultDecode {
			decoded <- f
		}
	}
	h := sharing(t, server.URL(), tell)
	heard := make(chan eventtarget.Event[raw], 10)
	listener := spoke(t, 0, []*hub.Hub{h}, link.Options{OnFault: quiet})
	if _, err := listener.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { heard <- e })); err != nil {
		t.Fatal(err)
	}
	bad := []string{
		"x", "[]", "null", `{}`, `{"kind":1}`, `{"kind":99,"hub":""}`, `{"kind":300,"hub":"x"}`, `{"kind":"2","hub":"x"}`,
		`{"kind":12,"hub":"x"}`, `{"kind":2,"hub":"x"}`, `{"kind":2,"hub":"x","message":5}`, `{"kind":2,"hub":"x","message":{"type":"__ack","id":""}}`,
		`{"kind":2,"hub":"x","message":{"type":"n"}}`, `{"kind":9,"hub":"x","identity":"a","message":[]}`, `{"kind":2,"hub":1}`,
	}
	for _, text := range bad {
		server.Do("XADD", "et:hubs:log", "0-*", "m", text)
	}
	server.Do("XADD", "et:hubs:log", "0-*", "else", "x")
	if err := h.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "n", Payload: raw("1")}); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-heard:
		if string(e.Payload) != "1" {
			t.Errorf("heard %s", e.Payload)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("heard nothing")
	}
	if n := len(decoded); n < len(bad) {
		t.Errorf("%d of %d bad records were told", n, len(bad))
	}
	if err := sharing(t, server.URL(), tell).Dispatch(t.Context(), eventtarget.Event[raw]{Type: "n", Payload: raw("2")}); err != nil {
		t.Errorf("a hub that begins later: %v", err)
	}
}

// TestSmallestHubACL: the rights that docs/redis.md shows are enough for hubs that share a
// log and are joined, and not for another prefix.
func TestSmallestHubACL(t *testing.T) {
	url := allow(t, redistest.Start(t), "hub")
	h := sharing(t, url, quiet)
	bus, err := redis.New(url, &redis.Options{OnFault: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close(); <-bus.Done() })
	m, err := h.Join(t.Context(), bus, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "n"}); err != nil {
		t.Error(err)
	}
	if n := len(m.Hubs()); n != 1 {
		t.Errorf("%d hubs", n)
	}
	if _, err := redis.OpenStore(t.Context(), url, &redis.Options{OnFault: quiet, Prefix: "other"}); !errors.Is(err, eventtarget.ErrForbidden) {
		t.Errorf("a log that is not allowed: %v", err)
	}
}

// TestOpenStoreOptions: an option that means nothing here is an error.
func TestOpenStoreOptions(t *testing.T) {
	for want, o := range map[string]redis.Options{
		"Durable is set": {Durable: true}, "Batch is set": {Batch: 2}, "Group is set": {Group: "g"}, "NoEcho is set": {NoEcho: true}, "Shards is set": {Shards: 2},
		"RetryFor is set": {RetryFor: time.Second}, "Limits is set": {Limits: eventtarget.Limits{Depth: 1}}, "InboxEvents is set": {InboxEvents: 1},
		"InboxBytes is set": {InboxBytes: 1}, `prefix "a b`: {Prefix: "a b"}, "LogEvents is negative (-1)": {LogEvents: -1},
	} {
		s, err := redis.OpenStore(t.Context(), "redis://127.0.0.1:1", &o)
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
