package redis_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// dials counts the connections to each address, and those that are open.
type dials struct {
	mu         sync.Mutex
	made, open map[string]int
}

func newDials() *dials { return &dials{made: make(map[string]int), open: make(map[string]int)} }

func (d *dials) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.made[address]++
	d.mu.Unlock()
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.open[address]++
	d.mu.Unlock()
	return &counted{Conn: c, closed: sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.open[address]--
	})}, nil
}

func (d *dials) to(address string) (made, open int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.made[address], d.open[address]
}

type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

// TestClusterForgets: a node that has left the cluster, dead or alive, is asked no more, and
// nothing is kept for it.
func TestClusterForgets(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, "--repl-ping-replica-period", "1") // a replica is named behind the first
	dies := cluster.Owner("et:0")
	var others []*redistest.Server
	for _, n := range cluster.Nodes {
		if n != dies {
			others = append(others, n)
		}
	}
	heir, leaves := cluster.AddReplica(dies), cluster.AddReplica(others[0])
	d, l := newDials(), newLedger(t)
	b := join(t, "redis+cluster://"+others[0].Addr, redis.Options{OnFault: l.fault, Dial: d.dial})
	a := join(t, "redis+cluster://"+others[1].Addr, redis.Options{OnFault: quiet})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	tr := newTraffic(t, a, "n", 2*time.Millisecond)
	l.awaitEvents(3)
	gap := func(what func()) {
		l.awaitEvents(1)
		gaps := len(l.faults(eventtarget.FaultGap))
		what()
		l.await("the gap", func() bool { return len(l.faults(eventtarget.FaultGap)) > gaps })
		l.awaitEvents(1)
	}
	move := func(times int) {
		for range times {
			to := others[0]
			if cluster.Owner("et:0") == to {
				to = others[1]
			}
			gap(func() { cluster.Move("et:0", to) })
		}
	}
	gap(func() { cluster.Failover(dies, heir) })
	for late := time.Now().Add(20 * time.Second); ; move(1) {
		if made, _ := d.to(leaves.Addr); made > 0 {
			break
		}
		if time.Now().After(late) {
			t.Fatal("the replica is never asked")
		}
	}
	cluster.Forget(dies)
	cluster.Forget(leaves)
	move(8)
	for _, n := range []*redistest.Server{dies, leaves} {
		l.await("the end of its connections", func() bool { _, open := d.to(n.Addr); return open == 0 })
	}
	deadMade, _ := d.to(dies.Addr)
	aliveMade, _ := d.to(leaves.Addr)
	move(3)
	if made, _ := d.to(dies.Addr); made != deadMade {
		t.Errorf("the dead node is asked still: %d connections, %d before", made, deadMade)
	}
	if made, open := d.to(leaves.Addr); made != aliveMade || open != 0 {
		t.Errorf("the node that has left is asked still: %d connections, %d before, %d open", made, aliveMade, open)
	}
	tr.end(l)
	l.check(tr.accepted)
}
