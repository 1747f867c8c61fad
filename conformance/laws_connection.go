package conformance

import (
	"github.com/eventtarget-go/toolkit/eventtarget"
)

var connectionLaws = []Law{
	{"C10", "reconnect", Optional, "after a cut listeners hear again without another Add, each event once, and the cut is told; what does not reconnect ends",
		"half of the subscriptions come back, or twice", lawReconnect},
}

func lawReconnect(t *T) {
	t.need(t.Harness.Caps.Topology == Hub || t.Harness.Caps.Topology == Link, "has no connection of its own")
	r := t.rig(2)
	t.need(r.Sever != nil, "the harness has no hook Sever")
	if !t.Harness.Caps.Reconnects { // as declared
		r.Sever(1)
		t.await("the end of what does not reconnect", r.Endpoints[1].Done())
		return
	}
	t.need(r.Heal != nil, "the harness has no hook Heal")
	from, to := 0, 1
	rec := r.listenInline(to, eventtarget.T(t.name(), "*"))
	back := r.listenInline(from, eventtarget.T(t.name(), "*"))
	for n := range 3 {
		r.dispatch(from, event{Type: rec.reg.Topic().Type})
		r.dispatch(to, event{Type: back.reg.Topic().Type})
		r.settle(from, to)
		r.settle(to, from)
		if rec.len() != n+1 || back.len() != n+1 {
			t.Fatalf("after %d cuts: heard %d and %d events, want %d", n, rec.len(), back.len(), n+1)
		}
		r.Sever(to)
		t.eventually("a state other than up", func() bool { return r.Endpoints[to].State() != eventtarget.StateUp })
		r.Heal(to)
		if err := r.Endpoints[to].Ready(t.ctx); err != nil {
			t.Fatalf("Ready after a cut: %v", err)
		}
	}
	t.awaitFault("that the connection was lost", to, func(f eventtarget.Fault) bool { return f.Kind == eventtarget.FaultDisconnected })
	t.awaitFault("that it is back", to, func(f eventtarget.Fault) bool { return f.Kind == eventtarget.FaultReconnected })
	t.awaitFault("that something may be missing", to, func(f eventtarget.Fault) bool { return f.Kind == eventtarget.FaultGap })
}
