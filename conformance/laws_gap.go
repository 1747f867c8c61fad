package conformance

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var gapLaws = []Law{
	{"C11", "gap-visible", Optional, "when events were lost while a connection was down, one gap is told, before the next event is heard; when none was, none",
		"a state that is wrong from then on, and nobody knows", lawGapVisible},
	{"C13", "backoff", Optional, "who is hung up on as soon as it has connected pauses before it connects again, each time; who is told that it is not wanted does not connect again",
		"a fleet that knocks a hub over which has just come up", lawBackoff},
	{"C14", "dispatch-while-down", Optional, "what is dispatched while the connection is down is taken up to the bounds and heard in order once it is back; then it is ErrOverflow at once",
		"a queue without end, or events that vanish", lawDispatchWhileDown},
}

// reconnecting skips the law unless endpoint 1 connects again by itself.
func (t *T) reconnecting(r *rig) {
	t.need(t.Harness.Caps.Reconnects, "does not connect again by itself")
	t.need(r.Sever != nil && r.Heal != nil, "the harness has no hooks Sever and Heal")
}

// sever cuts endpoint 1 off and waits until it knows.
func (r *rig) sever() {
	r.Sever(1)
	r.t.eventually("a state other than up", func() bool { return r.Endpoints[1].State() != eventtarget.StateUp })
}

// heal lets endpoint 1 connect again and waits until it has.
func (r *rig) heal() {
	r.Heal(1)
	if err := r.Endpoints[1].Ready(r.t.ctx); err != nil {
		r.t.Fatalf("Ready after a cut: %v", err)
	}
}

// gaps returns how many gaps were told at an endpoint.
func (t *T) gaps(endpoint int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, s := range t.faults {
		if s.endpoint == endpoint && s.fault.Kind == eventtarget.FaultGap {
			n++
		}
	}
	return n
}

func lawGapVisible(t *T) {
	t.onlyHub()
	const lost = 10
	r := t.briefRig(2)
	t.reconnecting(r)
	t.need(r.Spokes != nil, "the harness has no hook Spokes")
	for n := range 2 {
		topic := eventtarget.T(t.name(), "*")
		told := make(chan int, 1) // gaps, when the next event is heard
		heard := 0                // of those that may be lost; they come first
		r.add(1, topic, eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e event) {
			if e.ID != "next" {
				heard++
				return
			}
			told <- heard<<8 | t.gaps(1)
		}})
		before := t.gaps(1)
		r.sever()
		t.eventually("a set without the spoke that was cut off", func() bool { return len(r.Spokes()) == 0 })
		for k := range lost {
			r.dispatch(0, event{Type: topic.Type, ID: strconv.Itoa(k)})
		}
		r.heal()
		t.eventually("a set with the spoke that is back", func() bool { return len(r.Spokes()) == 1 })
		r.dispatch(0, event{Type: topic.Type, ID: "next"})
		var seen int
		select {
		case seen = <-told:
		case <-t.ctx.Done():
			t.Fatalf("after %d cuts the next event was not heard", n+1)
		}
		want := before + 1
		if seen>>8 == lost {
			want = before
		}
		if got := seen & 0xff; got != want {
			t.Errorf("after %d cuts %d gaps were told before the next event, want %d; %d of %d events were heard", n+1, got, want, seen>>8, lost)
		}
		r.settle(0, 1)
		if got := t.gaps(1); got != want {
			t.Errorf("after %d cuts %d gaps were told, want %d", n+1, got, want)
		}
	}
}

func lawDispatchWhileDown(t *T) {
	t.onlyHub()
	const bound = 64
	r := t.rigWith(Setup{Endpoints: 2, Outgoing: bound})
	t.reconnecting(r)
	t.need(!r.mute(1), "the spokes say nothing")
	for range 2 {
		rec := r.listenInline(0, eventtarget.T(t.name(), ""))
		r.sever()
		accepted, err := r.fill(1, rec.reg.Topic())
		if !errors.Is(err, eventtarget.ErrOverflow) {
			t.Errorf("Dispatch while the connection is down, once %d events wait: %v", accepted, err)
		}
		if accepted > bound {
			t.Errorf("%d events were accepted while the connection was down, want at most %d", accepted, bound)
		}
		r.heal()
		for n, p := range payloads(rec.wait(accepted)) {
			if p != strconv.Itoa(n) {
				t.Fatalf("once the connection is back event %d is %s", n, p)
			}
		}
		// In a session there is room again once the other end has acknowledged.
		t.eventually("room for another event", func() bool {
			return r.Endpoints[1].Dispatch(t.ctx, event{Type: rec.reg.Topic().Type, Payload: raw(strconv.Itoa(accepted))}) == nil
		})
		if last := rec.wait(accepted + 1)[accepted]; string(last.Payload) != strconv.Itoa(accepted) {
			t.Errorf("behind %d events that were accepted comes %s", accepted, last.Payload)
		}
	}
}

func lawBackoff(t *T) {
	t.onlyHub()
	const longest, attempts = 40 * time.Millisecond, 20
	kicks := make(chan struct{}, 1)
	var kick atomic.Pointer[eventtarget.Reason] // nil: nobody is hung up on
	r := t.rigWith(Setup{Endpoints: 2, Backoff: longest, OnConnect: func(p eventtarget.Peer) {
		reason := kick.Load()
		if reason == nil {
			return
		}
		if d, can := p.(disconnecter); can {
			d.Disconnect(*reason)
		}
		select {
		case kicks <- struct{}{}:
		case <-t.ctx.Done():
		}
	}})
	t.need(t.Harness.Caps.Reconnects, "does not connect again by itself")
	t.need(r.Spoke != nil, "the harness has no hook Spoke")
	d, can := r.Spoke(1).(disconnecter)
	t.need(can, "a spoke cannot be ended with a reason")
	later := eventtarget.Reason{Code: eventtarget.CodeTryLater}
	kick.Store(&later)
	d.Disconnect(later)
	t.await("another connection", kicks)
	begin := time.Now()
	for range attempts {
		t.await("another attempt to connect", kicks)
	}
	// With pauses of up to that, as good as never less than a third of the mean.
	if took := time.Since(begin); took < attempts*longest/6 {
		t.Errorf("who was hung up on connected %d times more in %v, with pauses of up to %v", attempts, took, longest)
	}
	if r.mute(1) {
		return // nothing is told over a connection that only carries events
	}
	kick.Store(&notYou)
	for refused := r.Endpoints[1].Done(); refused != nil; {
		select {
		case <-kicks: // one that had begun, and the one that is refused
		case <-refused:
			refused = nil
		case <-t.ctx.Done():
			t.Fatalf("a spoke that is told that it is not wanted connects again and again")
		}
	}
}
