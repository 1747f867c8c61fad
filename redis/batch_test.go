package redis_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// counting returns n numbered events, from first on.
func counting(first, n int) (events []event) {
	for i := range n {
		events = append(events, event{Type: "n", ID: strconv.Itoa(first + i)})
	}
	return events
}

// numbersOf returns those of the events that were heard, from one on.
func numbersOf(l *ledger, from int) (all []int) {
	for _, e := range l.all() {
		if e.number >= from {
			all = append(all, e.number)
		}
	}
	return all
}

// TestDispatchAll: many at once are heard as if they had been dispatched one by one, here and
// there, and what is refused for what it is stands for itself.
func TestDispatchAll(t *testing.T) {
	server := redistest.Start(t)
	for name, o := range map[string]redis.Options{
		"pubsub": {OnFault: quiet}, "durable": {OnFault: quiet, Durable: true, Prefix: "durable"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := join(t, server.URL(), o), join(t, server.URL(), o)
			here, there := newLedger(t), newLedger(t)
			listen(t, a, eventtarget.T("n", "*"), here.handle)
			listen(t, b, eventtarget.T("n", "*"), there.handle)
			const n, bad = 2000, 700
			events := counting(0, n)
			events[bad].Type = ""
			errs := a.DispatchAll(t.Context(), events)
			if len(errs) != n || !errors.Is(errs[bad], eventtarget.ErrInvalidTopic) {
				t.Fatalf("%d errors", len(errs))
			}
			errs[bad] = nil
			if err := errors.Join(errs...); err != nil {
				t.Error(err)
			}
			for _, ear := range []*ledger{here, there} {
				ear.await("all but one", func() bool { return ear.heard() >= n-1 })
				if got := numbersOf(ear, 0); !slices.IsSorted(got) || slices.Contains(got, bad) || len(got) != n-1 {
					t.Errorf("%d are heard", len(got))
				}
			}
			if errs := a.DispatchAll(t.Context(), counting(n, 10)); errs != nil {
				t.Errorf("all accepted: %v", errs)
			}
			a.Close()
			for _, err := range a.DispatchAll(t.Context(), counting(0, 3)) {
				if !errors.Is(err, eventtarget.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
			}
		})
	}
}

// TestDispatchAllCut: when the connection is lost at one of many events, none behind it is
// accepted or heard, though there is another connection at once.
func TestDispatchAllCut(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client()
	a, b := join(t, server.URL(), redis.Options{OnFault: quiet}), join(t, server.URL(), redis.Options{OnFault: quiet})
	const n, wanted = 4000, 10
	type ear struct { // for what one batch, and the one behind it, brings
		from, kill int // the first; the one at which a is cut
		heard      []int
		killed     bool
		cut, over  chan struct{}
	}
	var now atomic.Pointer[ear]
	listen(t, b, eventtarget.T("n", "*"), func(_ context.Context, e event) {
		x := now.Load()
		number, _ := strconv.Atoi(e.ID)
		if last := len(x.heard) - 1; number < x.from || last >= 0 && x.heard[last] == x.from+n {
			return // the one behind them, once more
		}
		x.heard = append(x.heard, number)
		if number >= x.kill && !x.killed {
			x.killed = true
			close(x.cut)
		}
		if number == x.from+n {
			close(x.over)
		}
	})
	end := time.Now().Add(time.Minute)
	for cut, from := 0, 0; cut < wanted; from += n + 1 {
		if time.Now().After(end) {
			t.Fatalf("only %d were cut", cut)
		}
		x := &ear{from: from, kill: from + from*7%(n/2), cut: make(chan struct{}), over: make(chan struct{})}
		now.Store(x)
		killed := make(chan error, 1)
		go func() {
			<-x.cut
			killed <- admin.Do(t.Context(), admin.B().Arbitrary("CLIENT", "KILL", "TYPE", "normal").Build()).Error()
		}()
		errs := a.DispatchAll(t.Context(), counting(from, n))
		for a.Dispatch(t.Context(), counting(from+n, 1)[0]) != nil { // the kill came behind all
		}
		select {
		case <-x.over:
		case <-time.After(20 * time.Second):
			t.Fatalf("%d, which is behind all, is not heard", from+n)
		}
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
		broke := slices.IndexFunc(errs, func(err error) bool { return err != nil })
		if broke < 0 {
			continue
		}
		cut++
		if i := slices.Index(errs[broke:], nil); i >= 0 {
			t.Fatalf("%d is accepted behind %d, which is not: %v", broke+i, broke, errs[broke])
		}
		got := x.heard[:len(x.heard)-1]
		for i, number := range got {
			if number != from+i {
				t.Fatalf("%d is heard in the place of %d", number-from, i)
			}
		}
		if len(got) < broke {
			t.Fatalf("%d were accepted, %d are heard", broke, len(got))
		}
	}
}

// TestDispatchAllNobody: while no node of a cluster can be reached, many events wait together
// for RetryFor, not one after the other.
func TestDispatchAllNobody(t *testing.T) {
	const retryFor = 500 * time.Millisecond
	a, err := redis.New("redis+cluster://127.0.0.1:1", &redis.Options{RetryFor: retryFor, OnFault: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	begun := time.Now()
	errs := a.DispatchAll(t.Context(), counting(0, 6))
	if took := time.Since(begun); took > 4*retryFor {
		t.Errorf("it took %v", took)
	}
	if len(errs) != 6 || slices.Contains(errs, nil) || errors.Is(errors.Join(errs...), eventtarget.ErrUnknownOutcome) {
		t.Errorf("told %v", errs)
	}
}
