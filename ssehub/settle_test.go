package ssehub_test

import (
	"context"
	"slices"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

func (w *walk) stall(a *agent, stalls bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.stalls == stalls {
		return
	}
	w.noted("agent %d stalls %t", a.n, stalls)
	a.stalls = stalls
	if a.now != nil && a.now.pipe != nil {
		a.now.stalled = a.now.stalled || stalls
		a.now.pipe.stall(stalls)
	}
}

// settle waits until every client is connected and all has arrived, and looks whether it has.
func (w *walk) settle() {
	for _, a := range w.agents {
		w.stall(a, false)
	}
	up := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return !slices.ContainsFunc(w.agents, func(a *agent) bool { return a.now == nil || !a.now.opened || a.now.ended || a.now.at.dead })
	}
	for range 100 {
		if synctest.Wait(); up() {
			break
		}
		<-time.After(time.Second)
	}
	if !up() {
		w.t.Fatal("somebody is not connected")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted("settled")
	for _, a := range w.agents {
		for _, c := range a.conns {
			w.check(c, c == a.now)
		}
		a.conns = slices.DeleteFunc(a.conns, func(c *conn) bool { return c.checked && c != a.now })
		a.compare()
	}
	for _, s := range w.servers {
		w.count(s)
	}
}

// count looks how many a hub says are there, and listen to each topic.
func (w *walk) count(s *server) {
	here := 0
	listen := make(map[eventtarget.Topic]int)
	for _, a := range w.agents {
		if a.now.at != s {
			continue
		}
		here++
		for _, topic := range walkTopics {
			if w.wants(a.now.topics, topic) {
				listen[topic]++
			}
		}
	}
	if n := s.Len(); n != here {
		w.wrong("server %d has %d spokes instead of %d", s.n, n, here)
	}
	for _, topic := range walkTopics {
		if n := s.Interested(topic); n != listen[topic] {
			w.wrong("%d are said to listen to %v at server %d instead of %d", n, topic, s.n, listen[topic])
		}
	}
}

// compare looks whether the listeners of an sseclient heard what its connections brought, and
// nothing else but gaps of unknown size.
func (a *agent) compare() {
	for n, e := range a.ears {
		want := slices.DeleteFunc(slices.Clone(a.parsed), func(i item) bool {
			return i.gap && n > 0 || !i.gap && !e.topic.Matches(i.topic)
		})
		at := 0
		for _, i := range e.heard {
			switch {
			case at < len(want) && i.n == want[at].n && i.own == want[at].own && i.gap == want[at].gap && i.count == want[at].count:
				at++
			case !i.gap || i.count > 0:
				at = len(want) + 1
			}
		}
		if at != len(want) {
			a.wrong("a listener of agent %d to %v heard %v instead of %v", a.n, e.topic, e.heard, want)
		}
		e.heard = nil
	}
	a.parsed = nil
}

func (a *agent) leave() {
	a.walk.note("agent %d leaves", a.n)
	a.stall(a, false)
	a.mu.Lock()
	for _, c := range a.conns {
		c.cut = true
	}
	a.mu.Unlock()
	a.stop()
	<-a.gone
	if a.client != nil {
		a.client.Close()
		<-a.client.Done()
	}
}

// replace ends a hub, in one of the ways that there are, and begins another in its place.
func (w *walk) replace(s *server) {
	how := w.rng.IntN(3)
	w.mu.Lock()
	var here []*conn
	w.noted("server %d ends as %d", s.n, how)
	w.mu.Unlock()
	if how > 0 {
		w.settle()
		w.mu.Lock()
		for _, a := range w.agents {
			if a.now.at == s && !a.now.cut {
				here = append(here, a.now)
			}
		}
		w.mu.Unlock()
		for range w.rng.IntN(60) {
			w.send(s, false, w.rng.IntN(30))
		}
	}
	w.mu.Lock()
	s.dead = true
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	switch how {
	case 1:
		w.must(s.Shutdown(ctx))
	case 2:
		w.must(s.Restart(ctx, 5*time.Second))
	}
	synctest.Wait()
	w.mu.Lock()
	for _, c := range here {
		if !c.ended {
			w.wrong("%s has not ended", c.name)
		}
		w.check(c, true)
		c.checked = true
	}
	w.mu.Unlock()
	w.end(s)
	next := w.start(s.book)
	next.n = s.n
	w.mu.Lock()
	w.servers[s.n] = next
	w.mu.Unlock()
}

// end ends what is left of a server.
func (w *walk) end(s *server) {
	w.mu.Lock()
	s.dead = true
	w.mu.Unlock()
	s.Hub.Close()
	<-s.Done()
	_ = s.http.Close()
}
