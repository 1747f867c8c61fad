package conformance

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var connectionLaws = []Law{
	{"C15", "replace", Optional, "a second spoke of the same identity ends the first, which is told, and so does a second connection of a session; nothing is heard from the first once it has left",
		"two devices where there is one, and orders from the one that was given up", lawReplace},
	{"C10", "reconnect", Optional, "after a cut listeners hear again without another Add, each event once, and the cut is told; what does not reconnect ends",
		"half of the subscriptions come back, or twice", lawReconnect},
	{"C29", "resume", Optional, "what is dispatched at either end while the connection is cut and made again is heard once and in order, and no gap is told",
		"each cut loses or doubles something", lawResume},
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
	if t.Harness.Caps.Resumes {
		r = t.rig(2)
	}
	from, to := 0, 1
	rec := r.listenInline(to, eventtarget.T(t.name(), "*"))
	back := r.listenInline(from, eventtarget.T(t.name(), "*"))
	for n := range 3 {
		r.dispatch(from, event{Type: rec.reg.Topic().Type})
		r.dispatch(to, event{Type: back.reg.Topic().Type})
		r.settle(from, to)
		r.settle(to, from)
		if rec.len() != n+1 || back.len() != n+1 && !r.mute(to) {
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
	if !t.Harness.Caps.Resumes {
		t.awaitFault("that something may be missing", to, func(f eventtarget.Fault) bool { return f.Kind == eventtarget.FaultGap })
	}
}

func lawResume(t *T) {
	t.need(t.Harness.Caps.Resumes, "declares that what is under way when a connection breaks is lost")
	r := t.rig(2)
	t.need(r.Sever != nil && r.Heal != nil, "the harness has no hooks Sever and Heal")
	flows := []*traffic{t.traffic(r, 0, 1)}
	if !r.mute(1) {
		flows = append(flows, t.traffic(r, 1, 0))
	}
	const cuts = 10
	for range cuts {
		for _, f := range flows {
			f.more(20)
		}
		r.Sever(1)
		t.eventually("a state other than up", func() bool { return r.Endpoints[1].State() != eventtarget.StateUp })
		flows[0].more(5)
		r.Heal(1)
		if err := r.Endpoints[1].Ready(t.ctx); err != nil {
			t.Fatalf("Ready after a cut: %v", err)
		}
	}
	for _, f := range flows {
		f.check()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.faults {
		if s.fault.Kind == eventtarget.FaultGap {
			t.failures = append(t.failures, "a gap was told at endpoint "+strconv.Itoa(s.endpoint))
		}
	}
}

func lawReplace(t *T) {
	t.onlyHub()
	t.wire()
	if t.Harness.Caps.Resumes {
		t.fence()
	}
	t.need(t.Harness.Caps.Replaces, "its spokes cannot be of one identity, or are not replaced")
	var n notices
	r := t.rigWith(Setup{Endpoints: 2, Replace: true, OnDisconnect: func(p eventtarget.Peer, reason eventtarget.Reason) {
		n.add(p.ID(), reason.Code.String())
	}})
	t.need(r.Foreign != nil && r.Spokes != nil && r.Kill != nil, "the harness has no hooks Foreign, Spokes and Kill")
	r.Kill(1) // or it would replace its successor
	a := t.name()
	frame := func(id string) []byte { return fmt.Appendf(nil, `{"type":%q,"id":%q}`, a, id) }
	other := r.listenInline(0, eventtarget.T(a, "other"))
	first := r.listenInline(0, eventtarget.T(a, "first"))
	r.add(0, eventtarget.T(a, "first"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e event) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.seen[e.Source.ID()]) > 0 {
			t.Errorf("a spoke that was replaced is heard once it has left")
		}
	}})
	p := r.join(false)
	var sending sync.WaitGroup
	sending.Go(func() {
		for t.ctx.Err() == nil && p.conn.Send(frame("first")) == nil {
			runtime.Gosched() // until it is ended
		}
	})
	source := first.wait(100)[0].Source
	q := r.join(false)
	if reason, told := p.end(); !told || reason.Code != eventtarget.CodePolicy {
		t.Errorf("a spoke that was replaced is told %q", reason.Error())
	}
	p.close()
	sending.Wait()
	if err := q.conn.Send(frame("other")); err != nil {
		t.Fatalf("a spoke that replaced another cannot send: %v", err)
	}
	if got := other.wait(1)[0].Source; got.ID() == source.ID() {
		t.Errorf("a spoke that replaced another has its id")
	}
	t.eventually("a set with the second spoke alone", func() bool { return len(r.Spokes()) == 1 })
	r.dispatch(0, event{Type: a, ID: "to all"})
	for e := q.event(); e.ID != "to all"; e = q.event() {
		if e.ID != "first" || !t.Harness.Caps.Relay {
			t.Fatalf("a spoke that replaced another hears %v", e.Topic())
		}
	}
	t.eventually("an OnDisconnect of the first", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return slices.Equal(n.seen[source.ID()], []string{eventtarget.CodePolicy.String()})
	})
}

// traffic is events that one endpoint dispatches to another without a pause.
type traffic struct {
	t    *T
	rec  *record
	stop chan struct{}
	end  func()
	wg   sync.WaitGroup

	mu       sync.Mutex
	tried    int
	accepted map[string]bool // false: it was refused, or the outcome is not known
}

func (t *T) traffic(r *rig, from, to int) *traffic {
	s := &traffic{t: t, rec: r.listen(to, eventtarget.T(t.name()+strconv.Itoa(from), "*")), stop: make(chan struct{}), accepted: make(map[string]bool)}
	s.end = sync.OnceFunc(func() {
		close(s.stop)
		s.wg.Wait()
	})
	t.cleanups = append(t.cleanups, s.end)
	s.wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-s.stop:
				return
			case <-t.ctx.Done():
				return
			case <-time.After(100 * time.Microsecond): // a rate, no wait for anything
			}
			e := event{Type: s.rec.reg.Topic().Type, ID: strconv.Itoa(n)}
			err := r.Endpoints[from].Dispatch(t.ctx, e)
			s.mu.Lock()
			s.tried, s.accepted[e.ID] = n+1, err == nil
			s.mu.Unlock()
		}
	})
	return s
}

// count returns how many events were dispatched.
func (s *traffic) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

// more waits until so many more events were dispatched.
func (s *traffic) more(n int) {
	want := s.count() + n
	s.t.eventually("more dispatches", func() bool { return s.count() >= want })
}

// check ends it and holds what was heard against it.
func (s *traffic) check() {
	s.end()
	s.t.within("every event that was accepted", func() bool { return len(s.missing()) == 0 }, func() string {
		missing := s.missing()
		return fmt.Sprintf("of %d events %d are missing, from %s to %s", s.tried, len(missing), missing[0], missing[len(missing)-1])
	})
	last := -1
	for _, e := range s.rec.all() {
		n, err := strconv.Atoi(e.ID)
		if err != nil || n <= last {
			s.t.Fatalf("heard event %s behind %d: doubled, or out of order", e.ID, last)
		}
		last = n
	}
}

// missing returns the events that were accepted and not heard.
func (s *traffic) missing() (ids []string) {
	heard := make(map[string]bool)
	for _, e := range s.rec.all() {
		heard[e.ID] = true
	}
	for n := range s.tried {
		if id := strconv.Itoa(n); s.accepted[id] && !heard[id] {
			ids = append(ids, id)
		}
	}
	return ids
}
