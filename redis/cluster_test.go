package redis_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// TestNemesisSlotMoves gives a bus's slot from node to node under traffic.
func TestNemesisSlotMoves(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	l := newLedger(t)
	a := join(t, cluster.URL(), redis.Options{OnFault: quiet})
	b := join(t, cluster.URL(), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", 200*time.Microsecond)
	moves := nemesis.Times(50)
	for range moves {
		l.awaitEvents(3)
		gaps := len(l.faults(eventtarget.FaultGap))
		to := cluster.Nodes[0]
		if cluster.Owner("et:0") == to {
			to = cluster.Nodes[1]
		}
		cluster.Move("et:0", to)
		if took := l.awaitEvents(1) + l.await("the gap", func() bool { return len(l.faults(eventtarget.FaultGap)) > gaps }); took > again {
			t.Errorf("heard again after %v", took)
		}
		l.awaitEvents(1)
	}
	tr.end(l)
	refused := 0
	for _, accepted := range tr.accepted {
		if !accepted {
			refused++
		}
	}
	lost := l.check(tr.accepted)
	t.Logf("%d moves: %d events, %d not accepted, %d lost, %d gaps", moves, len(tr.accepted), refused, lost, len(l.faults(eventtarget.FaultGap)))
	if refused > 0 {
		t.Errorf("%d events were not accepted, although somebody had the slot", refused)
	}
}

// TestNemesisFailover kills the node that has the bus, and its replica takes over, in
// turns.
func TestNemesisFailover(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	primary := cluster.Owner("et:0")
	replica := cluster.AddReplica(primary)
	l := newLedger(t)
	a := join(t, cluster.URL(), redis.Options{OnFault: quiet, RetryFor: 10 * time.Second})
	b := join(t, cluster.URL(), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", time.Millisecond)
	for range nemesis.Times(20) {
		l.awaitEvents(3)
		began := len(l.faults(eventtarget.FaultGap))
		cluster.Failover(primary, replica)
		took := l.await("hearing again", func() bool {
			return b.State() == eventtarget.StateUp && len(l.faults(eventtarget.FaultGap)) > began
		})
		if took += l.awaitEvents(1); took > again {
			t.Errorf("heard again %v after the failover", took)
		}
		cluster.Rejoin(primary)
		primary, replica = replica, primary
	}
	tr.end(l)
	lost := l.check(tr.accepted)
	t.Logf("%d events, %d outcomes unknown, %d lost, %d gaps", len(tr.accepted), tr.unknown, lost, len(l.faults(eventtarget.FaultGap)))
}

// TestClusterNodeDies kills a node without a replica: the shards of the others go on,
// and its own ones once it is back.
func TestClusterNodeDies(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	const shards = 12
	hurt, well := "", "" // types
	dies := cluster.Nodes[2]
	l, other := newLedger(t), newLedger(t)
	a := join(t, cluster.URL(), redis.Options{Shards: shards, OnFault: quiet, RetryFor: 50 * time.Millisecond})
	b := join(t, cluster.URL(), redis.Options{Shards: shards, OnFault: l.fault})
	for n := 0; hurt == "" || well == ""; n++ {
		eventType := fmt.Sprint("type", n)
		if cluster.Owner(fmt.Sprintf("et:%d", cluster.Slot(eventType)%shards)) == dies {
			hurt = eventType
		} else {
			well = eventType
		}
	}
	listen(t, b, eventtarget.T(hurt, "*"), l.handle)
	listen(t, b, eventtarget.T(well, "*"), other.handle)
	dispatch := func(eventType string, n int) error {
		return a.Dispatch(t.Context(), event{Type: eventType, ID: strconv.Itoa(n)})
	}
	if err := errors.Join(dispatch(hurt, 0), dispatch(well, 0)); err != nil {
		t.Fatal(err)
	}
	l.await("the first event", func() bool { return l.heard() == 1 })
	dies.Kill()
	l.await("the loss", func() bool { return b.State() == eventtarget.StateDown })
	if err := dispatch(hurt, 1); err == nil {
		t.Error("accepted by a dead node")
	}
	if err := dispatch(well, 1); err != nil {
		t.Errorf("Dispatch to a node that lives: %v", err)
	}
	other.await("what lives", func() bool { return other.heard() == 2 })
	cluster.Rejoin(dies)
	if took := l.await("the reconnect", func() bool { return b.State() == eventtarget.StateUp }); took > again {
		t.Errorf("up again after %v", took)
	}
	eventually(t, "an accepted event", func() bool { return dispatch(hurt, 2) == nil })
	l.await("the last event", func() bool { return l.heard() == 2 })
	if gaps := len(l.faults(eventtarget.FaultGap)); gaps == 0 || len(l.faults(eventtarget.FaultDisconnected)) != 1 || len(l.faults(eventtarget.FaultReconnected)) != 1 {
		t.Errorf("%d gaps, and the faults %v", gaps, l.all())
	}
}

// TestShards: on whichever shard a type is, each listener hears what it listens to, once,
// from here and elsewhere, and another program's events too.
func TestShards(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	client := cluster.Client()
	o := redis.Options{Shards: 7, OnFault: quiet}
	targets := []*redis.Target{join(t, cluster.URL(), o), join(t, cluster.URL(), o)}
	other := newForeign(client, "et", o)
	defer func() { _ = other.Close(eventtarget.Reason{}) }()
	var mu sync.Mutex
	heard := map[string]int{}
	add := func(at int, topic eventtarget.Topic) *eventtarget.Registration {
		return listen(t, targets[at], topic, func(_ context.Context, e event) {
			mu.Lock()
			defer mu.Unlock()
			heard[fmt.Sprintf("%d %v: %v", at, topic, e.Topic())]++
		})
	}
	want := map[string]int{}
	const types, everything = 20, "*"
	for at := range targets {
		add(at, eventtarget.T(everything, "*"))
		for n := range types {
			eventType := fmt.Sprint("type", n)
			add(at, eventtarget.T(eventType, "*"))
			add(at, eventtarget.T(eventType, "1"))
			targets[at].Remove(add(at, eventtarget.T(eventType, "2"))) // which the others must survive
		}
	}
	for n := range types {
		eventType := fmt.Sprint("type", n)
		for _, id := range []string{"1", "2"} {
			e := event{Type: eventType, ID: id}
			for _, from := range targets {
				if err := from.Dispatch(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			if err := other.Send(fmt.Appendf(nil, `{"type":%q,"id":%q}`, eventType, id)); err != nil {
				t.Fatal(err)
			}
			for at := range targets {
				for _, selector := range []eventtarget.Topic{eventtarget.T(everything, "*"), eventtarget.T(eventType, "*"), eventtarget.T(eventType, "1")} {
					if selector.Matches(e.Topic()) {
						want[fmt.Sprintf("%d %v: %v", at, selector, e.Topic())] = len(targets) + 1
					}
				}
			}
		}
	}
	eventually(t, "every event, everywhere, once", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for what, n := range heard {
			if n > want[what] {
				t.Fatalf("%s was heard %d times, want %d", what, n, want[what])
			}
		}
		return maps.Equal(heard, want)
	})
}

// TestShardOrder: many dispatch events of many types, and one who listens to everything
// hears each of them once, and those of a type in the order of their dispatcher.
func TestShardOrder(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	o := redis.Options{Shards: 7, OnFault: quiet}
	a, b := join(t, cluster.URL(), o), join(t, cluster.URL(), o)
	const dispatchers, events, types = 4, 500, 20
	type key struct {
		who       string
		eventType string
	}
	var mu sync.Mutex
	last, heard, all := map[key]int{}, 0, make(chan struct{})
	listen(t, b, eventtarget.T("*", "*"), func(_ context.Context, e event) {
		mu.Lock()
		defer mu.Unlock()
		who, number, _ := strings.Cut(e.ID, "/")
		n, _ := strconv.Atoi(number)
		k := key{who, e.Type}
		if before, found := last[k]; found && n <= before {
			t.Errorf("%s of %s heard behind %d", e.ID, e.Type, before)
		}
		last[k] = n
		if heard++; heard == dispatchers*events {
			close(all)
		}
	})
	var wg sync.WaitGroup
	for d := range dispatchers {
		wg.Go(func() {
			for n := range events {
				if err := a.Dispatch(t.Context(), event{Type: fmt.Sprint("type", n%types), ID: fmt.Sprint(d, "/", n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	select {
	case <-all:
	case <-time.After(10 * time.Second):
		mu.Lock()
		defer mu.Unlock()
		t.Errorf("heard %d of %d events", heard, dispatchers*events)
	}
}

func TestClusterBlackhole(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	links := new(redistest.Links)
	t.Cleanup(links.Close)
	l := newLedger(t)
	a := join(t, cluster.URL(), redis.Options{OnFault: quiet})
	b := join(t, cluster.URL(), redis.Options{OnFault: l.fault, Dial: links.Dial})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", time.Millisecond)
	l.awaitEvents(3)
	links.Stall()
	began := time.Now()
	l.await("the loss of the connection", func() bool { return b.State() == eventtarget.StateDown })
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("noticed after %v", took)
	}
	links.Heal()
	if took := l.awaitEvents(1); took > 2*again { // an attempt may be under way
		t.Errorf("heard again after %v", took)
	}
	tr.end(l)
	if lost := l.check(tr.accepted); lost == 0 {
		t.Error("nothing was lost in a black hole")
	}
}

// TestClusterFreeze: the node that has the bus says nothing any more, and its replica
// takes over.
func TestClusterFreeze(t *testing.T) {
	const noticed = 3 * time.Second
	cluster := redistest.StartCluster(t, 3, "--enable-debug-command", "yes")
	primary := cluster.Owner("et:0")
	replica := cluster.AddReplica(primary)
	l := newLedger(t)
	a := join(t, cluster.URL(), redis.Options{OnFault: quiet, RetryFor: 10 * time.Second})
	b := join(t, cluster.URL(), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", time.Millisecond)
	l.awaitEvents(3)
	asleep := make(chan struct{})
	admin := primary.Client()
	began := time.Now()
	go func() {
		defer close(asleep)
		_ = admin.Do(context.Background(), admin.B().Arbitrary("DEBUG", "SLEEP", "6").Build()).Error()
	}()
	l.await("hearing from the replica", func() bool {
		return b.State() == eventtarget.StateUp && len(l.faults(eventtarget.FaultGap)) == 1
	})
	l.awaitEvents(1)
	if took := time.Since(began); took > noticed+again {
		t.Errorf("heard again after %v", took)
	}
	if cluster.OwnerBy(replica, "et:0") != replica {
		t.Error("the replica did not take over")
	}
	tr.end(l)
	lost := l.check(tr.accepted)
	t.Logf("heard again after %v; %d events, %d outcomes unknown, %d lost", time.Since(began), len(tr.accepted), tr.unknown, lost)
	<-asleep
}

// TestClusterRefuses: what cannot be had on a cluster, or without one, is said at once.
func TestClusterRefuses(t *testing.T) {
	for want, c := range map[string]struct {
		url string
		o   redis.Options
	}{
		"no cluster can spread":   {"redis+cluster://127.0.0.1", redis.Options{Durable: true}},
		"only a bus on a cluster": {"redis://127.0.0.1", redis.Options{Shards: 2}},
		"negative":                {"redis+cluster://127.0.0.1", redis.Options{Shards: -1}},
		"write redis://":          {"ws+cluster://127.0.0.1", redis.Options{}},
	} {
		target, err := redis.New(c.url, &c.o)
		if err == nil {
			target.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%s, %+v): %v, want %q", c.url, c.o, err, want)
		}
	}
	server := redistest.Start(t) // which is no cluster
	target, err := redis.New("redis+cluster://"+server.Addr, &redis.Options{OnFault: quiet, RetryFor: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := target.Ready(ctx); err == nil || !strings.Contains(err.Error(), "cluster support disabled") {
		t.Errorf("Ready on a server that is no cluster: %v", err)
	}
	if err := target.Dispatch(t.Context(), event{Type: "n"}); err == nil || errors.Is(err, eventtarget.ErrUnknownOutcome) {
		t.Errorf("Dispatch to a server that is no cluster: %v", err)
	}
}

// TestConformanceShards: with more than one shard all laws hold, too, but that there is one
// order for each.
func TestConformanceShards(t *testing.T) {
	const shards = 7
	cluster := redistest.StartCluster(t, 3)
	lanes := make([]string, shards)
	for n, left := 0, shards; left > 0; n++ {
		lane := fmt.Sprint("lane", n)
		if at := &lanes[cluster.Slot(lane)%shards]; *at == "" {
			*at, left = lane, left-1
		}
	}
	run(t, "redis, cluster, 7 shards", engine{cluster.URL(), cluster.Client(), lanes}, redis.Options{Shards: shards}, nil)
}
