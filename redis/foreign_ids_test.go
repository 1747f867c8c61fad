package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// xadd appends an entry as other programs do, and returns the id that it has got.
func xadd(t *testing.T, admin rueidis.Client, key, id, name, value string) string {
	t.Helper()
	got, err := admin.Do(t.Context(), admin.B().Xadd().Key(key).Id(id).FieldValue().FieldValue(name, value).Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestDurableForeignIDs: other programs append to the log under ids that Redis makes of its
// clock. Events are accepted and heard as before, by who hears everything and by a group,
// also when such an entry is deleted at once; what is no event is counted and named.
func TestDurableForeignIDs(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client()
	l, shared := newLedger(t), newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	second := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	b := join(t, server.URL(), redis.Options{Durable: true, OnFault: l.fault})
	g := join(t, server.URL(), inGroup(redis.Options{OnFault: shared.fault}))
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	listen(t, g, eventtarget.T("n", "*"), shared.handle)
	listen(t, b, eventtarget.T("other", "*"), func(context.Context, event) {})
	tr, stop, others := newTraffic(t, a, "n", 200*time.Microsecond), make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				others <- n
				return
			case <-time.After(time.Millisecond):
			}
			if err := second.Dispatch(t.Context(), event{Type: "other"}); err != nil {
				t.Error(err)
			}
		}
	}()
	var foreign []string
	for n := range 20 {
		l.awaitEvents(3)
		id := xadd(t, admin, "et:log", "*", "field", "value")
		if n%4 == 3 {
			server.Do("XDEL", "et:log", id) // it may have been read, or not
			continue
		}
		foreign = append(foreign, id)
	}
	l.awaitEvents(3)
	foreign = append(foreign, xadd(t, admin, "et:log", "99999999999999-7", "m", "not an envelope")) // years ahead
	l.awaitEvents(3)
	close(stop)
	if n := <-others; n == 0 {
		t.Error("the second dispatcher had no turn")
	}
	tr.end(l)
	l.lossless(tr)
	shared.await("the last event", func() bool { return shared.heard() == len(tr.accepted) })
	shared.lossless(tr)
	for what, l := range map[string]*ledger{"who hears everything": l, "the group": shared} {
		var told []string
		for _, f := range l.faults(eventtarget.FaultDecode) {
			told = append(told, f.Err.Error())
		}
		for _, id := range foreign {
			if !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "entry "+id+":") }) {
				t.Errorf("%s does not tell of the foreign entry %s: %q", what, id, told)
			}
		}
	}
	if n := b.Malformed(); int(n) < len(foreign) {
		t.Errorf("%d of %d foreign entries were counted", n, len(foreign))
	}
}

// TestDurableForeignTrimmed: what was trimmed behind a foreign entry while a member was away
// is told, of unknown number.
func TestDurableForeignTrimmed(t *testing.T) {
	server := redistest.Start(t)
	admin, proxy := server.Client(), redistest.NewProxy(t, server.Addr)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, LogEvents: 100, OnFault: quiet})
	b := join(t, "redis://"+proxy.Addr, redis.Options{Durable: true, OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	accepted := make(map[int]bool)
	const events = 1000
	for n := range events {
		if n == 10 {
			l.await("ten events", func() bool { return l.heard() == 10 })
			proxy.Cut()
			xadd(t, admin, "et:log", "*", "field", "value")
		}
		if err := a.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
		accepted[n] = true
	}
	proxy.Heal()
	l.await("the last event", func() bool { all := l.all(); return all[len(all)-1].number == events-1 })
	if lost, gaps := l.check(accepted), l.faults(eventtarget.FaultGap); lost == 0 || len(gaps) != 1 || gaps[0].Count != 0 {
		t.Errorf("%d events lost, and the gaps were %v", lost, gaps)
	}
}

// TestStoreForeignIDs: the same for the log of hubs, whose numbers grow; who begins later
// finds everything, too.
func TestStoreForeignIDs(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client()
	var mu sync.Mutex
	var told []string
	faults := func(f eventtarget.Fault) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprint(f.Kind, f.Err))
	}
	a, b := openStore(t, server, faults), openStore(t, server, quiet)
	here, there := followed(t, a), followed(t, b)
	const rounds, each = 10, 20
	var foreign []string
	for n := range uint64(rounds) {
		from := a
		if n%2 == 1 {
			from = b
		}
		appendRefs(t, from, n*each, (n+1)*each)
		foreign = append(foreign, xadd(t, admin, "shared:hubs:log", "*", "field", "value"))
	}
	appendRefs(t, b, rounds*each, rounds*each+1)
	expectRefs(t, here, 0, rounds*each+1)
	expectRefs(t, there, 0, rounds*each+1)
	mu.Lock()
	defer mu.Unlock()
	if len(told) != len(foreign) {
		t.Errorf("%d foreign entries, and the faults %q", len(foreign), told)
	}
	for n, id := range foreign[:min(len(foreign), len(told))] {
		if !strings.Contains(told[n], "entry "+id+":") {
			t.Errorf("the fault of entry %s is %q", id, told[n])
		}
	}
	later, err := redis.OpenStore(t.Context(), server.URL(), &redis.Options{Prefix: "shared", OnFault: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	ref, seq := uint64(0), uint64(0)
	for r, err := range later.Restore() {
		if err != nil || r.Kind != hub.RecordAlive || r.Ref != ref || r.Seq <= seq || r.Seq > 1<<53 {
			t.Fatalf("behind number %d: %+v, %v; want ref %d", seq, r, err, ref)
		}
		ref, seq = ref+1, r.Seq
	}
	if ref != rounds*each+1 {
		t.Errorf("restored %d records", ref)
	}
}

// TestStoreForeignID: behind an entry that leaves no numbers nothing can be appended. That
// is told, with what to do, and when that is done what waits is appended.
func TestStoreForeignID(t *testing.T) {
	server := redistest.Start(t)
	const key, id = "shared:hubs:log", "18446744073709551615-18446744073709551615"
	told := make(chan eventtarget.Fault, 100)
	s := openStore(t, server, func(f eventtarget.Fault) {
		if f.Kind == eventtarget.FaultDispatch {
			told <- f
		}
	})
	refs := followed(t, s)
	appendRefs(t, s, 1, 3)
	expectRefs(t, refs, 1, 3)
	xadd(t, server.Client(), key, id, "field", "value")
	appended := make(chan struct{})
	go func() {
		defer close(appended)
		appendRefs(t, s, 3, 5)
	}()
	select {
	case f := <-told:
		if what := f.Err.Error(); !strings.Contains(what, id) || !strings.Contains(what, "XDEL") || !strings.Contains(what, "XSETID "+key) {
			t.Error(what)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is told")
	}
	server.Do("XDEL", key, id)
	server.Do("XSETID", key, "0-2")
	select {
	case <-appended:
	case <-time.After(10 * time.Second):
		t.Fatal("Append does not return")
	}
	expectRefs(t, refs, 3, 5)
}
