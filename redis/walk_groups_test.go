package redis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// groupWalk does at random what can be done to the members of two groups on one log, and to
// their server, and knows what each group is to hear.
type groupWalk struct {
	t       *testing.T
	rng     *rand.Rand
	server  *redistest.Server
	options redis.Options
	calm    bool // connections and the server are not disturbed; members die nevertheless
	narrow  bool // the log may be trimmed before a group has everything
	orderly bool // nobody dies, closes or stalls, so that what is missing is told to somebody
	killed  bool // the server is

	hands    []*hand
	speakers []*mouth
	ends     sync.WaitGroup // of members that leave

	mu    sync.Mutex
	trace []string
	teams map[string]*team
	sent  map[string]bool // by event: whether it was accepted
}

// hand is a member of a group, with a way to the server of its own.
type hand struct {
	*redis.Target
	walk  *groupWalk
	team  *team
	n     int
	proxy *faultnet.Proxy
	gone  bool // it leaves, or has
	reg   *eventtarget.Registration

	mu     sync.Mutex
	dead   bool // nothing of it reaches anybody any more
	held   chan struct{}
	latest map[string]int // the last event of each speaker that it has heard unmarked
}

// mouth is a goroutine that dispatches, one event behind the other.
type mouth struct {
	*redis.Target
	name string
	by   *hand // nil: it is in no group
	n    int
	late bool          // what it sent may come late: its way has stalled
	busy chan struct{} // closed when the burst has ended
}

func (w *groupWalk) one(of int) bool { return w.rng.IntN(of) == 0 }

func (w *groupWalk) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *groupWalk) target(url string, o redis.Options) *redis.Target {
	o.Prefix, o.Durable, o.LogEvents, o.RetryFor = w.options.Prefix, true, w.options.LogEvents, patience
	o.Timeout = w.options.Timeout
	target, err := redis.New(url, &o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = target.Close() })
	return target
}

func (w *groupWalk) speaks(target *redis.Target, name string, by *hand) {
	m := &mouth{Target: target, name: name, by: by, busy: make(chan struct{})}
	close(m.busy)
	w.speakers = append(w.speakers, m)
}

// join begins a member, which may have to wait for the server.
func (w *groupWalk) join(group string) *hand {
	m := &hand{walk: w, team: w.teams[group], n: len(w.hands), latest: make(map[string]int)}
	m.proxy = redistest.NewProxy(w.t, w.server.Addr)
	m.Target = w.target("redis://"+m.proxy.Addr, redis.Options{Group: group, ClaimAfter: w.options.ClaimAfter, OnFault: m.fault})
	w.hands = append(w.hands, m)
	w.speaks(m.Target, fmt.Sprint("m", m.n), m)
	w.note("%d joins %s", m.n, group)
	return m
}

func (m *hand) fault(f eventtarget.Fault) {
	switch f.Kind {
	case eventtarget.FaultGap:
		m.mu.Lock()
		defer m.mu.Unlock()
		m.walk.note("%d is told %v", m.n, f)
		if !m.dead {
			m.team.gap(m.walk, f)
		}
	case eventtarget.FaultPanic, eventtarget.FaultDisconnected, eventtarget.FaultReconnected, eventtarget.FaultDiscarded:
	default:
		m.walk.t.Error(m.n, f)
	}
}

// present is the members that have not left.
func (w *groupWalk) present() (all []*hand) {
	for _, m := range w.hands {
		if !m.gone {
			all = append(all, m)
		}
	}
	return all
}

func (w *groupWalk) anyone() *hand {
	all := w.present()
	return all[w.rng.IntN(len(all))]
}

// listen gives a member a listener if it has none, and can have one soon.
func (w *groupWalk) listen(m *hand, most time.Duration) {
	if m.reg != nil {
		select {
		case <-m.reg.Done():
		default:
			return
		}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), most)
	defer cancel()
	once := w.one(6)
	var err error
	m.reg, err = m.Add(ctx, eventtarget.T("*", "*"), eventtarget.Listener[raw]{Handle: m.handle, Once: once, Inline: w.one(2)})
	w.note("%d listens, once %v: %v", m.n, once, err)
}

// unlisten takes it away, perhaps for a moment only.
func (w *groupWalk) unlisten(m *hand) {
	times := 1
	if w.one(2) {
		times = 10
	}
	for range times {
		if m.reg != nil {
			m.Remove(m.reg)
		}
		if m.reg = nil; times > 1 {
			w.listen(m, time.Second/10)
		}
	}
	w.note("%d listens no more, %d times", m.n, times)
}

func (m *hand) handle(_ context.Context, e event) {
	var by, how string
	var n int
	if _, err := fmt.Sscanf(strings.Trim(string(e.Payload), `"`), "%s %d %s", &by, &n, &how); err != nil {
		m.walk.t.Errorf("heard %q", e.Payload)
		return
	}
	m.mu.Lock()
	held, dead := m.held, m.dead
	if !dead {
		m.walk.hears(m, by, n, e.Redelivered)
	}
	m.mu.Unlock()
	if held != nil {
		<-held
	}
	if how == "slow" {
		<-time.After(10 * time.Millisecond)
	}
	m.mu.Lock()
	if !m.dead {
		m.walk.handles(m, by, n)
	}
	m.mu.Unlock()
	switch how {
	case "panics":
		panic("on purpose")
	case "exits":
		runtime.Goexit()
	}
}

// burst has a speaker dispatch some events, without waiting for that.
func (w *groupWalk) burst(s *mouth) {
	select {
	case <-s.busy:
	default:
		return
	}
	busy := make(chan struct{})
	s.busy = busy
	var events []event
	for range 1 + w.rng.IntN(30) {
		how := "well"
		switch w.rng.IntN(40) {
		case 0:
			how = "panics"
		case 1:
			how = "exits"
		case 2, 3:
			how = "slow"
		}
		events = append(events, event{Type: []string{"a", "b"}[w.rng.IntN(2)], Payload: fmt.Appendf(nil, "%q", fmt.Sprint(s.name, " ", s.n, " ", how))})
		s.n++
	}
	w.note("%s dispatches %d, up to %d", s.name, len(events), s.n)
	first := s.n - len(events)
	go func() {
		defer close(busy)
		for i, e := range events {
			name := fmt.Sprint(s.name, " ", first+i)
			w.mu.Lock()
			w.sent[name] = false
			w.mu.Unlock()
			err := s.Dispatch(w.t.Context(), e)
			w.mu.Lock()
			w.sent[name] = err == nil
			w.mu.Unlock()
		}
	}()
}

// await waits for something that somebody does.
func (w *groupWalk) await(what string, done <-chan struct{}) {
	w.t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		w.t.Fatalf("never seen: %s", what)
	}
}
