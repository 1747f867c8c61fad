package conformance

import (
	"context"
	"strconv"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// labour is a listener that stays in the event of one number until the law ends.
type labour struct {
	t     *T
	stuck int // -1: in none
	stay  chan struct{}

	mu    sync.Mutex
	begun []event
	ended int
	more  chan struct{} // closed and replaced when something was begun or ended
}

func (t *T) labour(stuck int) *labour {
	l := &labour{t: t, stuck: stuck, stay: make(chan struct{}), more: make(chan struct{})}
	t.cleanups = append(t.cleanups, func() { close(l.stay) })
	return l
}

func (l *labour) handle(_ context.Context, e event) {
	l.mu.Lock()
	l.begun = append(l.begun, e)
	l.signal()
	l.mu.Unlock()
	if string(e.Payload) == strconv.Itoa(l.stuck) {
		<-l.stay
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended++
	l.signal()
}

// signal tells who waits. Under mu.
func (l *labour) signal() {
	close(l.more)
	l.more = make(chan struct{})
}

// wait returns what was begun when so much was begun and ended.
func (l *labour) wait(begun, ended int) []event {
	for {
		l.mu.Lock()
		all, done, more := l.begun, l.ended, l.more
		l.mu.Unlock()
		if len(all) >= begun && done >= ended {
			return all
		}
		select {
		case <-more:
		case <-l.t.ctx.Done():
			l.t.Fatalf("a listener has begun with %d events and ended with %d, want %d and %d: %q", len(all), done, begun, ended, payloads(all))
		}
	}
}

func lawAtLeastOnce(t *T) {
	t.need(t.Harness.Caps.AtLeastOnce, "declares that listeners die with their process")
	r := t.rig(2)
	t.need(r.Crash != nil, "the harness has no hook Crash")
	const batch = 5
	topic, n := eventtarget.T(t.name(), ""), 0
	say := func(more int) {
		for range more {
			r.dispatch(1, event{Type: topic.Type, Payload: raw(strconv.Itoa(n))})
			n++
		}
	}
	crash := func(l *labour) {
		err := r.Crash(0, func(e eventtarget.Endpoint) error {
			_, err := e.Add(t.ctx, topic, eventtarget.Listener[raw]{Handle: l.handle})
			return err
		})
		if err != nil {
			t.Fatalf("a rig cannot begin anew: %v", err)
		}
	}
	l := t.labour(batch)
	crash(l) // so that the first listener is there in time
	say(batch)
	l.wait(batch, batch)
	for handled := batch; handled < 4*batch; handled += batch {
		say(1) // which it stays in: so those before are behind it
		t.eventually("the beginning of the event to stay in", func() bool { return l.has(handled) })
		say(batch - 1)
		r.settle(1, 0) // it is known by now that those before are handled
		l = t.labour(handled + batch)
		crash(l)
		all := l.wait(batch, batch)
		for k, e := range all {
			if want := strconv.Itoa(handled + k); string(e.Payload) != want {
				t.Fatalf("a process died with event %d in hand: the next one hears %q", handled, payloads(all))
			}
			if !e.Redelivered {
				t.Errorf("event %s is heard again and not marked", e.Payload)
			}
		}
	}
	say(1)
	if last := l.wait(batch+1, batch)[batch]; last.Redelivered || string(last.Payload) != strconv.Itoa(n-1) {
		t.Errorf("the first event that is new is %s, Redelivered %t", last.Payload, last.Redelivered)
	}
}

// has tells whether an event was begun.
func (l *labour) has(number int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.begun {
		if string(e.Payload) == strconv.Itoa(number) {
			return true
		}
	}
	return false
}
