package redis_test

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// fill puts events into the log, numbered from first on.
func fill(t *testing.T, at *redis.Target, first, n int) {
	t.Helper()
	for i := range n {
		if err := at.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(first + i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func shutdown(t *testing.T, at *redis.Target) {
	t.Helper()
	if err := at.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPositions has one program after the other go on where the last one was, in the middle
// of what others and they themselves dispatch.
func TestPositions(t *testing.T) {
	server := redistest.Start(t)
	all, own := newLedger(t), newLedger(t)
	position := "0-0"
	reader := func() *redis.Target {
		b := join(t, server.URL(), redis.Options{Durable: true, From: position, OnFault: all.fault})
		if at := b.Position(); at != position {
			t.Errorf("a target that begins at %s is at %s", position, at)
		}
		listen(t, b, eventtarget.T(eventtarget.Wildcard, eventtarget.Wildcard), func(ctx context.Context, e event) {
			if e.Type == "own" {
				own.handle(ctx, e)
				return
			}
			all.handle(ctx, e)
		})
		return b
	}
	tr := newTraffic(t, join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet}), "n", 200*time.Microsecond)
	for n := range 20 {
		b := reader()
		all.awaitEvents(1 + 7*n)
		if err := b.Dispatch(t.Context(), event{Type: "own", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
		shutdown(t, b)
		position = b.Position()
	}
	last := reader()
	tr.end(all)
	all.lossless(tr)
	shutdown(t, last)
	next := 0
	for _, e := range own.all() { // the last one before an end may be heard again
		if e.number != next && e.number != next-1 {
			t.Fatalf("own event %d where %d is expected", e.number, next)
		}
		next = e.number + 1
	}
	if next != 20 {
		t.Errorf("%d of 20 own events were heard", next)
	}
}

// TestPositionOfOwn: what a target has dispatched itself is behind its position, with NoEcho too.
func TestPositionOfOwn(t *testing.T) {
	server := redistest.Start(t)
	for _, noEcho := range []bool{false, true} {
		want := "0-0"
		if noEcho { // the second one
			want = newestID(t, server) + "."
		}
		a := join(t, server.URL(), redis.Options{Durable: true, NoEcho: noEcho, OnFault: quiet})
		before := a.Position()
		if !strings.HasPrefix(before, want) {
			t.Errorf("it begins at %s, and the log ends at %s", before, want)
		}
		fill(t, a, 0, 10)
		awaitPosition(t, a, newestID(t, server)+".")
	}
}

// TestPositionOfRepeat: what was stored twice is behind the position, too.
func TestPositionOfRepeat(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	b := join(t, server.URL(), redis.Options{Durable: true, OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	fill(t, a, 0, 1)
	l.await("the event", func() bool { return l.heard() == 1 })
	c := server.Client()
	stored, err := c.Do(t.Context(), c.B().Xrange().Key("et:log").Start("-").End("+").Build()).AsXRange()
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	again := c.B().Xadd().Key("et:log").Id("0-*").FieldValue().FieldValue("m", stored[0].FieldValues["m"]).FieldValue("r", "").Build()
	if err := c.Do(t.Context(), again).Error(); err != nil {
		t.Fatal(err)
	}
	awaitPosition(t, b, "0-2.")
	if l.heard() != 1 {
		t.Errorf("heard %d times", l.heard())
	}
}

// TestFromWaits: nothing is read before there is somebody to hear it.
func TestFromWaits(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	fill(t, a, 0, 5)
	b := join(t, server.URL(), redis.Options{Durable: true, From: "0-0", OnFault: l.fault})
	events := 5
	for began := time.Now(); time.Since(began) < time.Second; events++ {
		fill(t, a, events, 1)
	}
	if at := b.Position(); at != "0-0" {
		t.Errorf("at %s, without a listener", at)
	}
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	l.await("all events", func() bool { return l.heard() == events })
	for n, e := range l.all() {
		if e.number != n {
			t.Fatalf("%d in place %d: %v", e.number, n, e.fault)
		}
	}
}

// TestFromLostWaiting: a log that is lost while nobody listens yet, and another one that has as
// many entries, is a gap.
func TestFromLostWaiting(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	fill(t, join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet}), 0, 10)
	proxy := redistest.NewProxy(t, server.Addr)
	b := join(t, "redis://"+proxy.Addr, redis.Options{Durable: true, From: "0-0", OnFault: l.fault})
	proxy.Cut()
	l.await("the cut", func() bool { return len(l.faults(eventtarget.FaultDisconnected)) == 1 })
	server.Kill()
	server.Restart() // which has kept nothing
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	fill(t, a, 100, 50)
	proxy.Heal()
	l.await("the gap", func() bool { return len(l.faults(eventtarget.FaultGap)) == 1 })
	awaitPosition(t, b, "0-50.")
	l = newLedger(t)
	c := join(t, server.URL(), redis.Options{Durable: true, From: "0-50.00000000", OnFault: l.fault})
	l.await("the gap", func() bool { return len(l.faults(eventtarget.FaultGap)) == 1 })
	awaitPosition(t, c, "0-50.")
}

// TestFromTrimmed: what the log has no more is a gap, with its number.
func TestFromTrimmed(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, LogEvents: 100, OnFault: quiet})
	fill(t, a, 0, 1000)
	b := join(t, server.URL(), redis.Options{Durable: true, From: "0-10", OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	l.await("the last event", func() bool { all := l.all(); return len(all) > 0 && all[len(all)-1].number == 999 })
	gaps := l.faults(eventtarget.FaultGap)
	if len(gaps) != 1 || gaps[0].Count != uint64(990-l.heard()) || l.heard() < 100 {
		t.Errorf("990 events from 0-10: %d heard, gaps %v", l.heard(), gaps)
	}
}

// TestFromAnotherLog: a position of a log that was lost is not one in the log that was begun
// since, however long that is.
func TestFromAnotherLog(t *testing.T) {
	for _, after := range []int{0, 1, 50} {
		server := redistest.Start(t)
		a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
		l := newLedger(t)
		listen(t, a, eventtarget.T("n", "*"), l.handle)
		b := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
		fill(t, b, 0, 10)
		l.await("ten events", func() bool { return l.heard() == 10 })
		shutdown(t, a)
		shutdown(t, b)
		server.Kill()
		server.Restart() // which has kept nothing
		b = join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
		fill(t, b, 100, after)
		l = newLedger(t)
		c := join(t, server.URL(), redis.Options{Durable: true, From: a.Position(), OnFault: l.fault})
		listen(t, c, eventtarget.T("n", "*"), l.handle)
		fill(t, b, 1000, 1)
		l.await("what comes then", func() bool { return l.heard() == 1 })
		if all := l.all(); len(all) != 2 || all[0].fault.Count != 0 || all[1].number != 1000 {
			t.Errorf("behind %d events of another log: %v", after, all)
		}
	}
}

func TestFromRefused(t *testing.T) {
	for want, o := range map[string]redis.Options{
		"From takes Durable":                               {From: "0-0"},
		"From is not for its members":                      {From: "0-0", Durable: true, Group: "g"},
		`where From begins: "yesterday" is no entry's id`:  {From: "yesterday", Durable: true},
		`where From begins: "5" is no entry's id`:          {From: "5", Durable: true},
		`"1-1.x" is no position: "x" is not eight`:         {From: "1-1.x", Durable: true},
		`"1-1.+0000001" is no position: "+0000001" is not`: {From: "1-1.+0000001", Durable: true},
	} {
		if _, err := redis.New("redis://127.0.0.1:1", &o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	a := join(t, redistest.Start(t).URL(), redis.Options{OnFault: quiet})
	if at := a.Position(); at != "" {
		t.Errorf("on Pub/Sub at %q", at)
	}
}

// newestID returns the id of the log's last entry.
func newestID(t *testing.T, server *redistest.Server) string {
	t.Helper()
	c := server.Client()
	entries, err := c.Do(t.Context(), c.B().Xrevrange().Key("et:log").End("+").Start("-").Count(1).Build()).AsXRange()
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	return entries[0].ID
}

// awaitPosition waits until a target's position begins so.
func awaitPosition(t *testing.T, at *redis.Target, want string) {
	t.Helper()
	for began := time.Now(); !strings.HasPrefix(at.Position(), want); runtime.Gosched() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("at %s, which is not %s…", at.Position(), want)
		}
	}
}
