package redis_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// lossless checks that everything was accepted and heard, and no gap told.
func (l *ledger) lossless(tr *traffic) {
	l.t.Helper()
	refused := 0
	for _, accepted := range tr.accepted {
		if !accepted {
			refused++
		}
	}
	lost := l.check(tr.accepted)
	gaps := l.faults(eventtarget.FaultGap)
	if refused > 0 || lost > 0 || len(gaps) > 0 || l.heard() != len(tr.accepted) {
		l.t.Errorf("%d dispatches: %d not accepted, %d lost, %d heard, gaps %v", len(tr.accepted), refused, lost, l.heard(), gaps)
	}
}

func TestDurableCuts(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client()
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	b := join(t, server.URL(), redis.Options{Durable: true, OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", 200*time.Microsecond)
	for range 100 {
		l.awaitEvents(3)
		if err := admin.Do(t.Context(), admin.B().Arbitrary("CLIENT", "KILL", "TYPE", "normal").Build()).Error(); err != nil {
			t.Fatal(err)
		}
		if took := l.awaitEvents(1); took > again {
			t.Errorf("heard again after %v", took)
		}
	}
	tr.end(l)
	l.lossless(tr)
	if len(l.faults(eventtarget.FaultReconnected)) == 0 {
		t.Error("there was no cut")
	}
}

func TestDurableKills(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	b := join(t, server.URL(), redis.Options{Durable: true, OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", 200*time.Microsecond)
	for n := range 10 {
		l.awaitEvents(3)
		server.Kill()
		l.await("the loss of the connection", func() bool { return len(l.faults(eventtarget.FaultDisconnected)) == n+1 })
		server.Restart()
		if took := l.awaitEvents(1); took > again {
			t.Errorf("heard again after %v", took)
		}
	}
	tr.end(l)
	l.lossless(tr)
}

// TestDurableRollBack has a server lose its log, and begin another one that is
// shorter or longer than what was read of the first.
func TestDurableRollBack(t *testing.T) {
	for _, after := range []int{1, 50} {
		server := redistest.Start(t)
		proxy := redistest.NewProxy(t, server.Addr)
		l := newLedger(t)
		a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
		b := join(t, "redis://"+proxy.Addr, redis.Options{Durable: true, OnFault: l.fault})
		listen(t, b, eventtarget.T("n", "*"), l.handle)
		n := 0
		dispatch := func(times int) {
			for range times {
				if err := a.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
		dispatch(10)
		l.await("ten events", func() bool { return l.heard() == 10 })
		proxy.Cut()
		l.await("the cut", func() bool { return b.State() == eventtarget.StateDown })
		server.Kill()
		server.Restart()
		dispatch(after)
		proxy.Heal()
		l.await("the gap", func() bool { return len(l.faults(eventtarget.FaultGap)) == 1 })
		dispatch(1)
		l.await("the last event", func() bool { all := l.all(); return all[len(all)-1].number == n-1 })
	}
}

func TestDurableTrimmed(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
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
		}
		if err := a.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
		accepted[n] = true
	}
	proxy.Heal()
	l.await("the last event", func() bool { all := l.all(); return all[len(all)-1].number == events-1 })
	lost := l.check(accepted)
	if gaps := l.faults(eventtarget.FaultGap); lost == 0 || len(gaps) != 1 || gaps[0].Count != uint64(lost) {
		t.Errorf("%d events lost, and the gaps were %v", lost, gaps)
	}
}

func TestDurableSlowListener(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	b := join(t, server.URL(), redis.Options{Durable: true, InboxEvents: 4, OnFault: l.fault})
	gate := make(chan struct{})
	listen(t, b, eventtarget.T("n", "*"), func(ctx context.Context, e event) {
		<-gate
		l.handle(ctx, e)
	})
	const events = 1000
	for n := range events {
		if err := a.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
	}
	close(gate)
	l.await("every event", func() bool { return l.heard() == events })
	if n := len(l.faults(eventtarget.FaultGap)); n > 0 || b.Dropped() > 0 {
		t.Errorf("%d gaps, %d events dropped", n, b.Dropped())
	}
}

func TestDurableBlackhole(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	b := join(t, "redis://"+proxy.Addr, redis.Options{Durable: true, OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", time.Millisecond)
	l.awaitEvents(3)
	proxy.Stall()
	began := time.Now()
	l.await("the loss of the connection", func() bool { return b.State() == eventtarget.StateDown })
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("noticed after %v", took)
	}
	proxy.Heal()
	if took := l.awaitEvents(1); took > again {
		t.Errorf("heard again after %v", took)
	}
	tr.end(l)
	l.lossless(tr)
}

// TestDurableDeleted: who reads a log that somebody deletes is told a gap within seconds, and
// hears what is dispatched after that, without a cut.
func TestDurableDeleted(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	b := join(t, server.URL(), redis.Options{Durable: true, OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", 5*time.Millisecond)
	for n := range 3 {
		l.awaitEvents(20)
		server.Do("DEL", "et:log")
		if took := l.await("the gap", func() bool { return len(l.faults(eventtarget.FaultGap)) == n+1 }); took > 3*time.Second {
			t.Errorf("told after %v", took)
		}
		l.awaitEvents(1)
	}
	tr.end(l)
	if n := len(l.faults(eventtarget.FaultDisconnected)); n > 0 {
		t.Errorf("%d cuts", n)
	}
}
