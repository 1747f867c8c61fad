package redis_test

import (
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// down is for how long a server that was killed stays away.
const down = 500 * time.Millisecond

// keeps are the options of a server that has stored what it has accepted.
var keeps = []string{"--appendonly", "yes", "--appendfsync", "always"}

// storm has some members dispatch without a pause, and everybody listen to everything,
// until end is called.
type storm struct {
	t         testing.TB
	history   nemesis.History
	listeners []*nemesis.Listener
	down, up  chan struct{} // have a token for each fault of the first member's connection
	end       func() nemesis.Verdict
}

func newStorm(t testing.TB, url string, members int) *storm {
	s := &storm{t: t, down: make(chan struct{}, 1000), up: make(chan struct{}, 1000)}
	var publishers []*nemesis.Publisher
	var targets []*redis.Target
	for i := range members {
		publishers = append(publishers, s.history.Publisher(string(rune('a'+i))))
	}
	stop := make(chan struct{})
	var dispatching sync.WaitGroup
	for i := range publishers {
		l := s.history.Listener(string(rune('a'+i)), publishers...)
		s.listeners = append(s.listeners, l)
		target := join(t, url, redis.Options{Durable: true, RetryFor: 20 * time.Second, OnFault: func(f eventtarget.Fault) {
			l.Fault(f)
			switch {
			case i == 0 && f.Kind == eventtarget.FaultDisconnected:
				s.down <- struct{}{}
			case i == 0 && f.Kind == eventtarget.FaultReconnected:
				s.up <- struct{}{}
			}
		}})
		listen(t, target, eventtarget.T("*", "*"), l.Handle)
		targets = append(targets, target)
	}
	for i, p := range publishers { // once everybody listens
		dispatching.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				topic := eventtarget.T("n", []string{"", "x", "y"}[n%3])
				if err := p.Dispatch(t.Context(), targets[i], topic); err != nil && t.Context().Err() == nil {
					t.Errorf("%v after all attempts", err)
				}
			}
		})
	}
	halt := sync.OnceFunc(func() {
		close(stop)
		dispatching.Wait()
	})
	t.Cleanup(halt)
	s.end = func() nemesis.Verdict {
		halt()
		return s.history.Await(t, 20*time.Second)
	}
	return s
}

// await waits for a token.
func (s *storm) await(what string, c <-chan struct{}) time.Duration {
	s.t.Helper()
	began := time.Now()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		s.t.Fatalf("never seen: %s", what)
	}
	return time.Since(began)
}

// progress waits until every listener has heard something more.
func (s *storm) progress() {
	s.t.Helper()
	for _, l := range s.listeners {
		before := l.Heard()
		eventually(s.t, "another event", func() bool { return l.Heard() > before })
	}
}

// verdict wants that nothing was lost, told or not.
func (s *storm) verdict() {
	s.t.Helper()
	if v := s.end(); v.LostAnnounced > 0 || v.Accepted == 0 {
		s.t.Errorf("%d of %d events were lost", v.LostAnnounced, v.Accepted)
	}
}

// TestNemesisDurableKills: a server that syncs every append is killed and comes back.
func TestNemesisDurableKills(t *testing.T) {
	server := redistest.Start(t, keeps...)
	s := newStorm(t, server.URL(), 3)
	for range nemesis.Times(20) {
		s.progress()
		server.Kill()
		s.await("the loss of the connection", s.down)
		<-time.After(down)
		server.Restart()
		if took := s.await("the reconnect", s.up); took > again {
			t.Errorf("heard again after %v", took)
		}
	}
	s.progress()
	s.verdict()
}

func TestNemesisDurableClientKill(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client()
	s := newStorm(t, server.URL(), 3)
	for range nemesis.Times(100) {
		s.progress()
		if err := admin.Do(t.Context(), admin.B().Arbitrary("CLIENT", "KILL", "TYPE", "normal").Build()).Error(); err != nil {
			t.Fatal(err)
		}
		if took := s.await("the cut", s.down) + s.await("the reconnect", s.up); took > again {
			t.Errorf("heard again after %v", took)
		}
	}
	s.progress()
	s.verdict()
}

// TestNemesisGroup: of what a group's members have under way when they are cut off, or
// their server is killed, nothing is lost, and what comes twice is marked.
func TestNemesisGroup(t *testing.T) {
	for name, c := range map[string]struct {
		times int
		fault func(t *testing.T, server *redistest.Server)
	}{
		"clients killed": {100, func(t *testing.T, server *redistest.Server) {
			server.Do("CLIENT", "KILL", "TYPE", "normal")
		}},
		"server killed": {20, func(t *testing.T, server *redistest.Server) {
			server.Kill()
			<-time.After(down)
			server.Restart()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, keeps...)
			c, count, l := c, newCrowd(t), newLedger(t)
			from := join(t, server.URL(), redis.Options{Durable: true, RetryFor: 20 * time.Second, OnFault: quiet})
			for _, name := range []string{"a", "b", "c"} {
				m := join(t, server.URL(), inGroup(redis.Options{ClaimAfter: time.Second, OnFault: l.fault}))
				listen(t, m, eventtarget.T("n", "*"), count.listener(name))
			}
			tr := newTraffic(t, from, "n", 100*time.Microsecond)
			for range nemesis.Times(c.times) {
				before := count.different()
				eventually(t, "ten events more", func() bool { return count.different() >= before+10 })
				c.fault(t, server)
			}
			close(tr.stop)
			<-tr.ended
			accepted := 0
			for _, ok := range tr.accepted {
				if ok {
					accepted++
				}
			}
			count.await(len(tr.accepted))
			repeated, marked := count.check()
			t.Logf("%d events, %d accepted; %d heard again, %d marked; shares %v", len(tr.accepted), accepted, repeated, marked, count.shares())
			if gaps := l.faults(eventtarget.FaultGap); accepted != len(tr.accepted) || len(gaps) > 0 {
				t.Errorf("%d of %d events accepted, gaps %v", accepted, len(tr.accepted), gaps)
			}
			eventually(t, "everything is confirmed", func() bool { return pending(t, server) == 0 })
		})
	}
}
