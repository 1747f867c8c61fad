package quichub_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// storm is a hub and a spoke with a bad network between them, and what passes.
type storm struct {
	relay          *faultnet.Relay
	hub            *quichub.Hub
	spoke          *quicspoke.Spoke
	history        nemesis.History
	down, up       *nemesis.Publisher
	atSpoke, atHub *nemesis.Listener
	fresh          atomic.Int64 // sessions that were begun
	resumed        atomic.Int64
	lost           chan struct{} // the spoke's connection was
	left           atomic.Int64  // how often a spoke left the hub
}

var stormTopic = eventtarget.T("n", "")

func newStorm(t *testing.T, idle time.Duration) *storm {
	t.Helper()
	s := &storm{lost: make(chan struct{}, 1)}
	s.down, s.up = s.history.Publisher("hub"), s.history.Publisher("spoke")
	s.atSpoke, s.atHub = s.history.Listener("spoke", s.down), s.history.Listener("hub", s.up)
	s.hub = newHub(t, quichub.Options{
		ListenerOptions: quichub.ListenerOptions{IdleTimeout: idle},
		Options: hub.Options{
			OnFault:      s.atHub.Fault,
			OnDisconnect: func(*hub.Spoke, eventtarget.Reason) { s.left.Add(1) },
		},
	})
	s.relay = newRelay(t, s.hub)
	s.spoke = newSpoke(t, s.relay.Addr, quicspoke.Options{IdleTimeout: idle, Options: link.Options{
		OnFault: s.atSpoke.Fault, Backoff: link.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
		OnState: s.changed,
	}})
	for to, l := range map[eventtarget.Target]*nemesis.Listener{s.hub: s.atHub, s.spoke: s.atSpoke} {
		if _, err := to.Add(t.Context(), stormTopic, eventtarget.Func(l.Handle)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.spoke.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *storm) changed(c link.Change) {
	switch {
	case c.Resumed:
		s.resumed.Add(1)
	case c.State == eventtarget.StateUp:
		s.fresh.Add(1)
	case c.State == eventtarget.StateDown:
		select {
		case s.lost <- struct{}{}:
		default:
		}
	}
}

// blow dispatches 2000 events a second in each direction, n or until the context ends,
// and calls during meanwhile.
func (s *storm) blow(t *testing.T, n int, during func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- s.down.Traffic(ctx, n, s.hub, stormTopic, 500*time.Microsecond) }()
	go func() { ended <- s.up.Traffic(ctx, n, s.spoke, stormTopic, 500*time.Microsecond) }()
	if during != nil {
		during()
		cancel()
	}
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if v := s.history.Await(t, 20*time.Second); v.LostAnnounced > 0 {
		t.Errorf("with the window held %d events were lost", v.LostAnnounced)
	}
	if fresh := s.fresh.Load(); fresh != 1 {
		t.Errorf("%d sessions were begun, want 1", fresh)
	}
	t.Logf("%+v, %d times resumed", s.relay.Counts(), s.resumed.Load())
}

// hear waits until the spoke has heard n of the events that are dispatched from now on.
func (s *storm) hear(t *testing.T, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(20 * time.Second)
	for before := s.down.Accepted(); s.atSpoke.Heard() < before+n; {
		if <-tick.C; time.Now().After(end) {
			t.Fatal("nothing passes any more")
		}
	}
}

// TestNemesisPackets: packets are lost, doubled and out of order; events are not.
func TestNemesisPackets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ loss, double, reorder int }{
		{0, 0, 0}, {1, 0, 0}, {5, 0, 0}, {20, 0, 0}, {0, 20, 0}, {0, 0, 20}, {5, 5, 5},
	} {
		t.Run(fmt.Sprintf("loss=%d%%,double=%d%%,reorder=%d%%", c.loss, c.double, c.reorder), func(t *testing.T) {
			t.Parallel()
			s := newStorm(t, 0)
			s.relay.Lose(c.loss)
			s.relay.Duplicate(c.double)
			s.relay.Reorder(c.reorder)
			s.blow(t, nemesis.Times(20000), nil)
			counts := s.relay.Counts()
			for _, x := range [][2]int{{c.loss, counts.Lost}, {c.double, counts.Doubled}, {c.reorder, counts.Reordered}} {
				if x[0] == 0 && x[1] > 0 || x[0] >= 5 && x[1] == 0 { // 1 % of some hundred may be none
					t.Errorf("the network did %+v", counts)
				}
			}
		})
	}
}

// TestNemesisCuts: the cable is pulled until the connection is given up, again and
// again, and packets are lost in between.
func TestNemesisCuts(t *testing.T) {
	t.Parallel()
	s := newStorm(t, 300*time.Millisecond)
	cuts := nemesis.Times(100)
	s.blow(t, 1<<30, func() {
		for range cuts {
			s.relay.Stall()
			receive(t, s.lost)
			s.relay.Heal()
			s.relay.Lose(1)
			s.hear(t, 1)
		}
	})
	if got := s.resumed.Load(); got < int64(cuts) {
		t.Errorf("%d cuts, but %d times resumed", cuts, got)
	}
}

// TestNemesisRebinding: a router that forgets its table again and again, so that the
// hub sees the spoke at another port. It is the same connection, of the same spoke.
func TestNemesisRebinding(t *testing.T) {
	t.Parallel()
	s := newStorm(t, 0)
	times := nemesis.Times(100)
	s.blow(t, 1<<30, func() {
		for range times {
			if err := s.relay.Rebind(); err != nil {
				t.Fatal(err)
			}
			// Until the hub has found out: it looks into no more than three
			// addresses in 5 s that do not answer.
			s.hear(t, 200)
		}
	})
	if s.resumed.Load() > 0 || s.left.Load() > 0 {
		t.Errorf("%d times resumed, %d times left: want the connection to stay", s.resumed.Load(), s.left.Load())
	}
	all := peers(s.hub)
	if len(all) != 1 || all[0].Identity() != spokeKey().Pin().String() {
		t.Errorf("the hub has the spokes %v, want the one with its identity", all)
	}
}

// TestOtherAddress: a spoke that comes back from another address is who it was.
func TestOtherAddress(t *testing.T) {
	t.Parallel()
	const idle = 300 * time.Millisecond
	joined := make(chan *hub.Spoke, 2)
	h := newHub(t, quichub.Options{
		Options:         hub.Options{OnFault: quiet, OnConnect: func(s *hub.Spoke) { joined <- s }},
		ListenerOptions: quichub.ListenerOptions{IdleTimeout: idle},
	})
	relay := newRelay(t, h)
	s := newSpoke(t, relay.Addr, quicspoke.Options{Plain: true, IdleTimeout: idle, Options: link.Options{OnFault: quiet}})
	var addresses [2]string
	for i := range addresses {
		at := receive(t, joined)
		if addresses[i] = at.Addr(); at.Identity() != spokeKey().Pin().String() {
			t.Errorf("the spoke is %s, want its pin", at.Identity())
		}
		if s.Identity() != hubKey().Pin().String() {
			t.Errorf("the hub is %s, want its pin", s.Identity())
		}
		relay.Stall()
		receive(t, at.Done())
		relay.Heal()
	}
	if addresses[0] == addresses[1] {
		t.Errorf("the spoke was at %s both times", addresses[0])
	}
}

// receive waits for something that comes soon.
func receive[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(20 * time.Second):
		t.Fatal("it never came")
	}
	return v
}
