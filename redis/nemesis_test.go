package redis_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// again is how soon a target must hear again once Redis answers.
const again = time.Second

func TestClientKill(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client()
	l := newLedger(t)
	a, b := join(t, server.URL(), redis.Options{OnFault: quiet}), join(t, server.URL(), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", 200*time.Microsecond)
	kills := 0
	for _, kind := range []string{"pubsub", "normal"} {
		for range 100 {
			l.awaitEvents(3)
			n := len(l.faults(eventtarget.FaultReconnected))
			if err := admin.Do(t.Context(), admin.B().Arbitrary("CLIENT", "KILL", "TYPE", kind).Build()).Error(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if kind == "pubsub" {
				kills++
				l.await("a reconnect", func() bool { return len(l.faults(eventtarget.FaultReconnected)) > n })
			}
			l.awaitEvents(1)
			if took := time.Since(began); took > again {
				t.Errorf("heard again after %v", took)
			}
		}
	}
	tr.end(l)
	lost := l.check(tr.accepted)
	gaps := len(l.faults(eventtarget.FaultGap))
	t.Logf("%d cuts, %d gaps, %d of %d events lost, %d outcomes unknown", kills, gaps, lost, len(tr.accepted), tr.unknown)
	if n := len(l.faults(eventtarget.FaultDisconnected)); n != kills || gaps < kills {
		t.Errorf("%d cuts were told as %d disconnections and %d gaps", kills, n, gaps)
	}
}

func TestKillAndRestart(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a, b := join(t, server.URL(), redis.Options{OnFault: quiet}), join(t, server.URL(), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("*", "*"), l.handle)
	tr := newTraffic(t, a, "n", 200*time.Microsecond)
	const kills = 20
	for n := range kills {
		l.awaitEvents(3)
		server.Kill()
		l.await("the loss of the connection", func() bool { return len(l.faults(eventtarget.FaultDisconnected)) == n+1 })
		server.Restart()
		if took := l.awaitEvents(1); took > again {
			t.Errorf("heard again after %v", took)
		}
	}
	tr.end(l)
	lost := l.check(tr.accepted)
	gaps := len(l.faults(eventtarget.FaultGap))
	t.Logf("%d kills, %d gaps, %d accepted events lost, %d outcomes unknown", kills, gaps, lost, tr.unknown)
	if gaps < kills {
		t.Errorf("%d gaps", gaps)
	}
}

func TestBlackhole(t *testing.T) {
	const noticed = 3 * time.Second
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	l := newLedger(t)
	a, b := join(t, server.URL(), redis.Options{OnFault: quiet}), join(t, "redis://"+proxy.Addr, redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", time.Millisecond)
	l.awaitEvents(3)
	proxy.Stall()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Dispatch(ctx, event{Type: "x"}); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, eventtarget.ErrUnknownOutcome) || time.Since(began) > again {
		t.Errorf("Dispatch into a black hole, until its deadline: %v after %v", err, time.Since(began))
	}
	if err := b.Dispatch(t.Context(), event{Type: "x"}); err == nil || time.Since(began) > noticed {
		t.Errorf("Dispatch into a black hole: %v after %v", err, time.Since(began))
	}
	l.await("the loss of the connection", func() bool { return b.State() == eventtarget.StateDown })
	if took := time.Since(began); took > noticed {
		t.Errorf("noticed after %v", took)
	}
	proxy.Heal()
	if took := l.awaitEvents(1); took > again {
		t.Errorf("heard again after %v", took)
	}
	tr.end(l)
	if lost := l.check(tr.accepted); lost == 0 || len(l.faults(eventtarget.FaultGap)) != 1 {
		t.Errorf("%d events lost, %d gaps", lost, len(l.faults(eventtarget.FaultGap)))
	}
}

func TestOutputBufferOverflow(t *testing.T) {
	server := redistest.Start(t, "--client-output-buffer-limit", "pubsub 1mb 0 0")
	proxy := redistest.NewProxy(t, server.Addr)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{OnFault: quiet})
	b := join(t, "redis://"+proxy.Addr, redis.Options{OnFault: l.fault, Timeout: 20 * time.Second})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	client, accepted := server.Client(), map[int]bool{}
	payload := append(append([]byte{'"'}, bytes.Repeat([]byte("x"), 100_000)...), '"')
	dispatch := func(n int) {
		if err := a.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n), Payload: payload}); err != nil {
			t.Fatal(err)
		}
		accepted[n] = true
	}
	n := 0
	dispatch(n)
	l.await("the first event", func() bool { return l.heard() == 1 })
	proxy.Stall()
	for server.Subscribers(client, "et:n") > 0 && n < 1000 {
		n++
		dispatch(n)
	}
	proxy.Heal()
	l.await("the reconnect", func() bool { return len(l.faults(eventtarget.FaultReconnected)) == 1 })
	n++
	dispatch(n)
	l.await("the last event", func() bool { all := l.all(); return all[len(all)-1].number == n })
	if lost := l.check(accepted); lost == 0 || len(l.faults(eventtarget.FaultGap)) != 1 {
		t.Errorf("%d of %d events lost, %d gaps", lost, n, len(l.faults(eventtarget.FaultGap)))
	}
}

func TestServerStalls(t *testing.T) {
	server := redistest.Start(t, "--enable-debug-command", "yes")
	l := newLedger(t)
	a, b := join(t, server.URL(), redis.Options{OnFault: quiet}), join(t, server.URL(), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", time.Millisecond)
	l.awaitEvents(3)
	for _, seconds := range []string{"0.7", "2.2"} {
		admin := server.Client() // whose timeout is longer
		if err := admin.Do(t.Context(), admin.B().Arbitrary("DEBUG", "SLEEP", seconds).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		l.awaitEvents(3)
	}
	tr.end(l)
	l.check(tr.accepted)
}
