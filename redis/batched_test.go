package redis_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// TestBatch: events that gather share messages, as many as may, without being put past
// those of another channel, and are heard as if they did not.
func TestBatch(t *testing.T) {
	server := redistest.Start(t)
	a, b := join(t, server.URL(), redis.Options{Batch: 8, OnFault: quiet}), join(t, server.URL(), redis.Options{OnFault: quiet})
	l := newLedger(t)
	listen(t, b, eventtarget.T("*", "*"), l.handle)
	messages := make(chan rueidis.PubSubMessage, 10_000)
	listens := make(chan struct{})
	client := server.Client()
	go func() {
		ctx := rueidis.WithOnSubscriptionHook(t.Context(), func(rueidis.PubSubSubscription) { close(listens) })
		_ = client.Receive(ctx, client.B().Psubscribe().Pattern("et:*").Build(), func(m rueidis.PubSubMessage) { messages <- m })
	}()
	<-listens
	const n = 1000
	large := raw(`"` + strings.Repeat("x", 20<<10) + `"`)
	var events []event
	for i := range n {
		e := event{Type: "n", ID: strconv.Itoa(i)}
		switch {
		case i%100 > 90:
			e.Type = "other"
		case i%100 > 80:
			e.Payload = large
		}
		events = append(events, e)
	}
	if err := errors.Join(a.DispatchAll(t.Context(), events)...); err != nil {
		t.Fatal(err)
	}
	l.await("all", func() bool { return l.heard() == n })
	for i, e := range l.all() {
		if e.number != i {
			t.Fatalf("event %d, %v, in the place of %d", e.number, e.fault, i)
		}
	}
	most := 0
	for next := 0; next < n; {
		m := <-messages
		var several []struct{ Type, ID string }
		if err := json.Unmarshal([]byte(m.Message), &several); err != nil {
			several = append(several, struct{ Type, ID string }{})
			if err := json.Unmarshal([]byte(m.Message), &several[0]); err != nil {
				t.Fatalf("%.100q: %v", m.Message, err)
			}
		}
		most = max(most, len(several))
		if len(several) > 8 || len(m.Message) > 64<<10 && len(several) > 1 {
			t.Fatalf("%d events in %d bytes", len(several), len(m.Message))
		}
		for _, e := range several {
			if e.ID != strconv.Itoa(next) || m.Channel != "et:"+e.Type {
				t.Fatalf("%v on %s in the place of %d", e, m.Channel, next)
			}
			next++
		}
	}
	if most != 8 {
		t.Errorf("%d events in a message at most", most)
	}
}

// TestForeignBatch: another program's array is heard, and a malformed one is refused as a
// whole, or an event of it alone.
func TestForeignBatch(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	b := join(t, server.URL(), redis.Options{OnFault: l.fault, InboxEvents: 3})
	hold, held := make(chan struct{}), make(chan struct{}, 10)
	listen(t, b, eventtarget.T("n", "*"), func(ctx context.Context, e event) {
		held <- struct{}{}
		<-hold
		l.handle(ctx, e)
	})
	publish := func(msg string) { server.Do("PUBLISH", "et:n", msg) }
	publish(`[{"type":"n","id":"0"}]`)
	<-held
	publish(`[{"type":"n","id":"1"}, {"type":"other","id":"2"}, {"type":"n","id":"3"}, {"type":"n","id":"4"}, {"type":"n","id":"5"}]`)
	publish(`{"type":"n","id":"6"}`)
	close(hold)
	l.await("all that there was room for", func() bool { return l.heard() == 3 })
	publish(`[{"type":"n","id":"7"},1]`)
	publish(`[]`)
	publish(`{"type":"n","id":"8"}`)
	l.await("the one behind them", func() bool { return l.heard() == 4 })
	var told []string
	for _, e := range l.all() {
		if e.number >= 0 {
			told = append(told, strconv.Itoa(e.number))
			continue
		}
		told = append(told, e.fault.Kind.String()+" "+strconv.FormatUint(e.fault.Count, 10))
	}
	const want = "0, 1, decode 1, 3, gap 3, decode 1, decode 1, 8"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("told %s; want %s", got, want)
	}
}

// TestBatchRefused: what Redis refuses is refused for each event of a message.
func TestBatchRefused(t *testing.T) {
	server := redistest.Start(t)
	a := join(t, server.URL(), redis.Options{Batch: 64, OnFault: quiet})
	server.Do("ACL", "SETUSER", "default", "resetchannels", "&et:yes")
	events := counting(0, 200)
	for i := range events {
		if events[i].Type = "no"; i%40 < 20 {
			events[i].Type = "yes"
		}
	}
	errs := a.DispatchAll(t.Context(), events)
	for i, err := range errs {
		if allowed := events[i].Type == "yes"; allowed != (err == nil) || !allowed && !errors.Is(err, eventtarget.ErrForbidden) {
			t.Fatalf("%v: %v", events[i], err)
		}
	}
	if len(errs) != len(events) {
		t.Errorf("%d answers", len(errs))
	}
}

// TestBatchOptions: a log takes no batches, and nothing takes too large ones.
func TestBatchOptions(t *testing.T) {
	for want, o := range map[string]redis.Options{
		"Batch is for Pub/Sub":                     {Batch: 2, Durable: true},
		"a Batch of 513, which can be 512 at most": {Batch: 513},
		"Batch is negative (-1)":                   {Batch: -1},
	} {
		if _, err := redis.New("redis://127.0.0.1:1", &o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
