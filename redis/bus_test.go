package redis_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// TestSwitchOver changes between the channel and the pattern of everything while
// events flow: none may be lost or heard twice.
func TestSwitchOver(t *testing.T) {
	server := redistest.Start(t)
	exact, everything := newLedger(t), newLedger(t)
	a := join(t, server.URL(), redis.Options{OnFault: quiet})
	b := join(t, server.URL(), redis.Options{OnFault: exact.fault})
	listen(t, b, eventtarget.T("n", "*"), exact.handle)
	listen(t, b, eventtarget.T("other", "x"), exact.handle)
	tr := newTraffic(t, a, "n", 20*time.Microsecond)
	client := server.Client()
	for n := range 200 {
		r := listen(t, b, eventtarget.T("*", "*"), everything.handle)
		everything.awaitEvents(1)
		b.Remove(r)
		if n%2 == 0 { // in between, it changes its mind underway
			eventually(t, "no pattern", func() bool {
				n, err := client.Do(t.Context(), client.B().PubsubNumpat().Build()).AsInt64()
				return err == nil && n == 0
			})
		}
	}
	tr.end(exact)
	if lost := exact.check(tr.accepted); lost > 0 || exact.heard() < len(tr.accepted)-1 || len(exact.faults(eventtarget.FaultGap)) > 0 {
		t.Errorf("heard %d of %d events, %d lost", exact.heard(), len(tr.accepted), lost)
	}
	everything.check(nil)
}

func TestUnsubscribes(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	b := join(t, server.URL(), redis.Options{OnFault: quiet})
	l := newLedger(t)
	subscribers := func(n int) func() bool {
		return func() bool { return server.Subscribers(client, "et:n") == n }
	}
	one := listen(t, b, eventtarget.T("n", "1"), l.handle)
	two := listen(t, b, eventtarget.T("n", "*"), l.handle)
	if !subscribers(1)() {
		t.Error("Add returned before Redis knew")
	}
	b.Remove(one)
	b.Remove(one)
	listen(t, b, eventtarget.T("m", "*"), l.handle) // behind what the first Remove may have set off
	if !subscribers(1)() {
		t.Error("the channel was given up before its last listener")
	}
	b.Remove(two)
	eventually(t, "no subscriber", subscribers(0))
	once, err := b.Add(t.Context(), eventtarget.T("n", "1"), eventtarget.Listener[raw]{Once: true, Handle: l.handle})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Dispatch(t.Context(), event{Type: "n", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	<-once.Done()
	eventually(t, "no subscriber after Once", subscribers(0))
}

// eventually polls for something that nothing can be waited for on.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never seen: %s", what)
		}
	}
}

func TestHostileTopics(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	a, b := join(t, server.URL(), redis.Options{OnFault: quiet}), join(t, server.URL(), redis.Options{OnFault: quiet})
	types := []string{"a", "A", "ab", "a?", "?", "[ab]", "[^a]", "{a}", "a{b}", `\`, `\a`, "a b", "%61", "%", "ä", "漢", "a.b", "a-b", "et", strings.Repeat("ü", 64)}
	ids := []string{"", "?", "**", "[a]", `\*`, "{", "a:b", "%0d%0a"}
	type heard struct{ listener, got eventtarget.Topic }
	all := make(chan heard, 10*len(types)*len(ids))
	for _, eventType := range types {
		for _, id := range ids {
			topic := eventtarget.T(eventType, id)
			listen(t, b, topic, func(_ context.Context, e event) { all <- heard{topic, e.Topic()} })
		}
	}
	names, err := client.Do(t.Context(), client.B().PubsubChannels().Build()).AsStrSlice()
	if err != nil || len(names) != len(types) {
		t.Errorf("%d channels for %d types: %v", len(names), len(types), err)
	}
	for _, name := range names {
		if !regexp.MustCompile(`^et:[A-Za-z0-9._%-]+$`).MatchString(name) {
			t.Errorf("a channel is called %q", name)
		}
	}
	for _, eventType := range types {
		for _, id := range ids {
			if err := a.Dispatch(t.Context(), event{Type: eventType, ID: id}); err != nil {
				t.Errorf("Dispatch on %q %q: %v", eventType, id, err)
				continue
			}
			if h := <-all; h.got != eventtarget.T(eventType, id) || h.got != h.listener {
				t.Errorf("%q was heard as %q by the listener on %q", eventtarget.T(eventType, id), h.got, h.listener)
			}
		}
	}
	if len(all) > 0 {
		t.Errorf("%d events were heard more than once", len(all))
	}
}

func TestMalformed(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	l := newLedger(t)
	b := join(t, server.URL(), redis.Options{OnFault: l.fault, Limits: eventtarget.Limits{Message: 4096}})
	listen(t, b, eventtarget.T("*", "*"), l.handle)
	const good = `{"origin":"AAAAAAAAAAAA.000001%010x","type":"n","id":"7","payload":{"a":[1,"x"]},"headers":{"k":"v"}}`
	bad := []string{"", " ", "null", "[]", "42", `"x"`, "\x00", "*", "\r\n", "{}", `{"type":"n"}`, `{"id":"1"}`, `{"type":"other","id":"1"}`, `{"type":"n","id":"*"}`,
		`{"type":"n","id":"1","id":"2"}`, `{"type":"n","id":"1","payload":"` + strings.Repeat("x", 5000) + `"}`, `{"type":"n","id":"1","payload":` + strings.Repeat("[", 5000),
		`{"origin":"`, `{"origin":"AAAAAAAAAAAA.000001000000000g","type":"n"`, `{"origin":"AAAAAAAAAAAA.0000010000000001",`, `{"origin":"AAAAAAAAAAAA.0000010000000001",}`}
	for n := range len(fmt.Sprintf(good, 0)) { // cut anywhere, and each byte replaced
		cut, replaced := fmt.Sprintf(good, 2*n+1), []byte(fmt.Sprintf(good, 2*n+2))
		replaced[n] = 0xff
		bad = append(bad, cut[:n], string(replaced))
	}
	for n, msg := range bad {
		if err := client.Do(t.Context(), client.B().Publish().Channel("et:n").Message(msg).Build()).Error(); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	publish := func(channel, msg string) {
		if err := client.Do(t.Context(), client.B().Publish().Channel(channel).Message(msg).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	publish("et:app:n", "of another bus")
	publish("et:__later", `{"type":"__later","id":""}`)
	publish("et:n", `{"type":"n","id":"8"}`)
	l.await("the good message", func() bool { return l.heard() > 0 })
	if n := b.Malformed(); n != uint64(len(bad)) || len(l.faults(eventtarget.FaultDecode)) != len(bad) {
		t.Errorf("%d malformed messages were counted as %d and told %d times", len(bad), n, len(l.faults(eventtarget.FaultDecode)))
	}
	if all := l.all(); all[len(all)-1].number != 8 || l.heard() != 1 || b.Ignored() != 1 {
		t.Errorf("heard %d events", l.heard())
	}
}

// TestNumbers plays a sender of which some messages are lost, late or repeated.
func TestNumbers(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	l := newLedger(t)
	b := join(t, server.URL(), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	play := func(origin string, run int, numbers ...int) {
		for _, n := range numbers {
			msg := fmt.Sprintf(`{"origin":"%s.%06x%010x","type":"n","id":"%d"}`, origin, run, n, n)
			if err := client.Do(t.Context(), client.B().Publish().Channel("et:n").Message(msg).Build()).Error(); err != nil {
				t.Fatal(err)
			}
		}
	}
	play("AAAAAAAAAAAA", 1, 5, 6, 9, 7, 9, 10)
	play("BBBBBBBBBBBB", 1, 1, 2)
	play("AAAAAAAAAAAA", 2, 1, 2, 4)
	play("AAAAAAAAAAAA", 1, 11)
	play("BBBBBBBBBBBB", 1, 99)
	l.await("the last message", func() bool { all := l.all(); return len(all) > 0 && all[len(all)-1].number == 99 })
	var told []string
	for _, e := range l.all() {
		if e.number < 0 {
			told = append(told, fmt.Sprintf("gap %d", e.fault.Count))
		} else {
			told = append(told, strconv.Itoa(e.number))
		}
	}
	if got, want := strings.Join(told, ", "), "5, 6, gap 2, 9, 10, 1, 2, 1, 2, gap 1, 4, gap 96, 99"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

func TestInboxOverflow(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{OnFault: quiet})
	b := join(t, server.URL(), redis.Options{OnFault: l.fault, InboxEvents: 4})
	gate := make(chan struct{})
	entered := make(chan struct{}, 1)
	listen(t, b, eventtarget.T("n", "*"), func(ctx context.Context, e event) {
		select {
		case entered <- struct{}{}:
			<-gate
		default:
		}
		l.handle(ctx, e)
	})
	for n := range 11 {
		if err := a.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			<-entered
		}
	}
	eventually(t, "what found no room", func() bool { return b.Dropped() == 6 })
	close(gate)
	l.await("the gap", func() bool { return len(l.faults(eventtarget.FaultGap)) > 0 })
	if f := l.faults(eventtarget.FaultGap)[0]; f.Count != 6 || !errors.Is(f, eventtarget.ErrOverflow) || l.heard() != 5 {
		t.Errorf("%d events heard, and %v", l.heard(), f)
	}
}

func TestGoexit(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a, b := join(t, server.URL(), redis.Options{OnFault: quiet}), join(t, server.URL(), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), func(context.Context, event) { runtime.Goexit() })
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	for n := range 3 {
		if err := a.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
	}
	l.await("three events", func() bool { return l.heard() == 3 })
}

// TestSubscribesAfterBusy: a target that connects again while the server runs a script, and so
// refuses the subscription, asks for it again instead of hearing nothing from then on.
func TestSubscribesAfterBusy(t *testing.T) {
	server := redistest.Start(t, "--busy-reply-threshold", "50")
	proxy := redistest.NewProxy(t, server.Addr)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{OnFault: quiet})
	b := join(t, "redis://"+proxy.Addr, redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	end := busy(t, server)
	proxy.Cut()
	l.await("the loss of the connection", func() bool { return len(l.faults(eventtarget.FaultDisconnected)) > 0 })
	proxy.Heal()
	late := time.NewTimer(500 * time.Millisecond) // for some attempts
	<-late.C
	end()
	l.await("the connection", func() bool { return len(l.faults(eventtarget.FaultReconnected)) > 0 })
	tr := newTraffic(t, a, "n", time.Millisecond)
	l.awaitEvents(3)
	tr.end(l)
	if gaps := l.faults(eventtarget.FaultGap); len(gaps) != 1 {
		t.Errorf("the gaps are %v, want one", gaps)
	}
}
