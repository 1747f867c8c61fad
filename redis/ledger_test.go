package redis_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/redis"
)

type (
	raw   = eventtarget.Raw
	event = eventtarget.Event[eventtarget.Raw]
)

// entry is something that a listening target told: an event, by its number, or a
// fault.
type entry struct {
	number int // -1: a fault
	fault  eventtarget.Fault
}

// ledger is what a target told, in order.
type ledger struct {
	t       testing.TB
	mu      sync.Mutex
	entries []entry
	events  int
	more    chan struct{}
}

func newLedger(t testing.TB) *ledger { return &ledger{t: t, more: make(chan struct{})} }

func (l *ledger) fault(f eventtarget.Fault) { l.append(entry{-1, f}) }

// handle is for an Inline listener, so that events and gaps are told on one
// goroutine.
func (l *ledger) handle(_ context.Context, e event) {
	n, err := strconv.Atoi(e.ID)
	if err != nil {
		l.t.Errorf("heard %q", e.ID)
	}
	l.append(entry{number: n})
}

func (l *ledger) append(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	if e.number >= 0 {
		l.events++
	}
	close(l.more)
	l.more = make(chan struct{})
}

func (l *ledger) all() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]entry(nil), l.entries...)
}

// heard returns how many events were.
func (l *ledger) heard() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

// faults returns those of a kind.
func (l *ledger) faults(kind eventtarget.FaultKind) (found []eventtarget.Fault) {
	for _, e := range l.all() {
		if e.number < 0 && e.fault.Kind == kind {
			found = append(found, e.fault)
		}
	}
	return found
}

// await waits until what was told fits, and returns how long that took.
func (l *ledger) await(what string, fits func() bool) time.Duration {
	l.t.Helper()
	began := time.Now()
	timeout := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		more := l.more
		l.mu.Unlock()
		if fits() {
			return time.Since(began)
		}
		select {
		case <-more:
		case <-timeout:
			l.t.Fatalf("never seen: %s", what)
		}
	}
}

// awaitEvents waits for n events more than there were.
func (l *ledger) awaitEvents(n int) time.Duration {
	l.t.Helper()
	before := l.heard()
	return l.await("events", func() bool { return l.heard() >= before+n })
}

// check holds what was heard against what was accepted: no event twice, none out of
// order, none of those accepted missing without a gap in its place, and no two gaps
// in one place.
func (l *ledger) check(accepted map[int]bool) (lost int) {
	l.t.Helper()
	last, gaps := -1, 0
	for _, e := range l.all() {
		switch {
		case e.number < 0 && e.fault.Kind == eventtarget.FaultGap:
			if gaps++; gaps > 1 {
				l.t.Errorf("%d gaps behind event %d", gaps, last)
			}
		case e.number < 0:
		case e.number <= last:
			l.t.Errorf("event %d behind event %d", e.number, last)
		default:
			missing := 0
			for n := last + 1; n < e.number; n++ {
				if accepted[n] {
					missing++
				}
			}
			if missing > 0 && gaps == 0 && last >= 0 {
				l.t.Errorf("%d events were lost without a word between %d and %d", missing, last, e.number)
			}
			lost += missing
			last, gaps = e.number, 0
		}
	}
	return lost
}

// traffic dispatches numbered events until it is stopped.
type traffic struct {
	dispatch func(n int) error
	stop     chan struct{}
	ended    chan struct{}
	accepted map[int]bool // once ended
	unknown  int
}

func newTraffic(t testing.TB, from *redis.Target, eventType string, pause time.Duration) *traffic {
	tr := &traffic{stop: make(chan struct{}), ended: make(chan struct{}), accepted: make(map[int]bool)}
	tr.dispatch = func(n int) error {
		return from.Dispatch(t.Context(), event{Type: eventType, ID: strconv.Itoa(n)})
	}
	go func() {
		defer close(tr.ended)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for n := 0; ; n++ {
			err := tr.dispatch(n)
			tr.accepted[n] = err == nil
			if errors.Is(err, eventtarget.ErrUnknownOutcome) {
				tr.unknown++
			}
			select {
			case <-tr.stop:
				return
			case <-tick.C:
			}
		}
	}()
	return tr
}

// end stops it and sends one event more, once the listener has no cut before it that
// it has not got over.
func (tr *traffic) end(l *ledger) {
	l.t.Helper()
	close(tr.stop)
	<-tr.ended
	l.await("the last reconnect", func() bool {
		return len(l.faults(eventtarget.FaultReconnected)) == len(l.faults(eventtarget.FaultDisconnected))
	})
	last := len(tr.accepted)
	if err := tr.dispatch(last); err != nil {
		l.t.Fatal(err)
	}
	tr.accepted[last] = true
	l.await("the last event", func() bool {
		all := l.all()
		return len(all) > 0 && all[len(all)-1].number == last
	})
}

// join returns a target that is ready and ends with the test.
func join(t testing.TB, url string, o redis.Options) *redis.Target {
	t.Helper()
	target, err := redis.New(url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		target.Close()
		<-target.Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := target.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return target
}

func quiet(eventtarget.Fault) {}

// listen adds an Inline listener.
func listen(t testing.TB, at *redis.Target, topic eventtarget.Topic, handle func(context.Context, event)) *eventtarget.Registration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := at.Add(ctx, topic, eventtarget.Listener[raw]{Handle: handle, Inline: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
