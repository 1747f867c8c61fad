package redistest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// slots is how many a cluster has.
const slots = 16384

// Cluster is a Redis Cluster on loopback: primaries that share the slots evenly, and
// replicas of them if asked for. A node keeps its place when it is killed and restarted.
type Cluster struct {
	// Nodes are the servers: the primaries, then the replicas that were added.
	Nodes []*Server

	t testing.TB
}

// StartCluster starts a cluster of so many primaries that ends with the test, and
// returns when every node knows who has which slot; args are further options of each
// redis-server. A node that is silent for half a second counts as failed.
func StartCluster(t testing.TB, primaries int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for i := range primaries {
		n := c.start(args)
		n.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/primaries), strconv.Itoa((i+1)*slots/primaries-1))
		n.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)) // so that none have to be agreed upon
		c.meet(n)
	}
	c.await("every slot has an owner", func() bool { return c.agree() })
	return c
}

// AddReplica starts a replica of a primary and returns when it has its data.
func (c *Cluster) AddReplica(of *Server, args ...string) *Server {
	c.t.Helper()
	n := c.start(args)
	c.meet(n)
	primary := of.ask("CLUSTER", "MYID")
	c.await("the replica knows its primary", func() bool { return strings.Contains(n.ask("CLUSTER", "NODES"), primary) })
	n.Do("CLUSTER", "REPLICATE", primary)
	c.await("the replica has its data", func() bool {
		return strings.Contains(n.ask("INFO", "replication"), "master_link_status:up") && c.agree()
	})
	return n
}

func (c *Cluster) start(args []string) *Server {
	c.t.Helper()
	_, port, _ := net.SplitHostPort(FreeAddr(c.t))
	n := Start(c.t, append([]string{
		"--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout", "500",
		"--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0",
	}, args...)...)
	c.Nodes = append(c.Nodes, n)
	return n
}

// meet makes a node known to the first one, which tells the others.
func (c *Cluster) meet(n *Server) {
	first := c.Nodes[0]
	if n == first {
		return
	}
	host, port, _ := net.SplitHostPort(first.Addr)
	bus := slices.Index(first.args, "--cluster-port")
	n.Do("CLUSTER", "MEET", host, port, first.args[bus+1])
}

// agree tells whether every node that runs sees a whole cluster, in which each node
// that runs has its place.
func (c *Cluster) agree() bool {
	for _, n := range c.Nodes {
		if n.cmd == nil {
			continue
		}
		if !strings.Contains(n.ask("CLUSTER", "INFO"), "cluster_state:ok") || c.owners(n) != c.owners(c.running()) {
			return false
		}
		for _, other := range c.Nodes {
			if other.cmd != nil && !strings.Contains(n.ask("CLUSTER", "NODES"), other.Addr+"@") {
				return false
			}
		}
	}
	return true
}

// owners returns who has which slot, as a node sees it.
func (c *Cluster) owners(n *Server) string {
	var lines []string
	for line := range strings.Lines(n.ask("CLUSTER", "NODES")) {
		if f := strings.Fields(line); len(f) > 8 {
			lines = append(lines, f[0]+" "+strings.Join(f[8:], " "))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Client returns a client of the cluster that ends with the test.
func (c *Cluster) Client() rueidis.Client {
	c.t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{c.running().Addr}, DisableCache: true})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

// URL returns the cluster's URL.
func (c *Cluster) URL() string { return "redis+cluster://" + c.Nodes[0].Addr }

// Slot returns the slot of a key or channel.
func (c *Cluster) Slot(name string) int {
	c.t.Helper()
	slot, err := strconv.Atoi(c.running().ask("CLUSTER", "KEYSLOT", name))
	if err != nil {
		c.t.Fatal(err)
	}
	return slot
}

// Owner returns the node that has the slot of a key or channel.
func (c *Cluster) Owner(name string) *Server { return c.OwnerBy(c.running(), name) }

// OwnerBy returns the node of which another says that it has the slot.
func (c *Cluster) OwnerBy(who *Server, name string) *Server {
	c.t.Helper()
	slot, _ := strconv.Atoi(who.ask("CLUSTER", "KEYSLOT", name))
	for line := range strings.Lines(who.ask("CLUSTER", "NODES")) {
		f := strings.Fields(line)
		for _, r := range f[min(8, len(f)):] {
			from, to, isRange := strings.Cut(r, "-")
			low, err := strconv.Atoi(from)
			high := low
			if isRange {
				high, _ = strconv.Atoi(to)
			}
			addr, _, _ := strings.Cut(f[1], "@")
			if i := slices.IndexFunc(c.Nodes, func(n *Server) bool { return n.Addr == addr }); err == nil && low <= slot && slot <= high && i >= 0 {
				return c.Nodes[i]
			}
		}
	}
	c.t.Fatalf("nobody has slot %d", slot)
	return nil
}

func (c *Cluster) running() *Server {
	return c.Nodes[slices.IndexFunc(c.Nodes, func(n *Server) bool { return n.cmd != nil })]
}

// Move gives the slot of a key or channel to another primary, with its keys, as
// redis-cli --cluster reshard does it.
func (c *Cluster) Move(name string, to *Server) {
	c.t.Helper()
	from := c.Owner(name)
	if from == to {
		c.t.Fatalf("%s is there already", name)
	}
	slot, source, target := to.ask("CLUSTER", "KEYSLOT", name), from.ask("CLUSTER", "MYID"), to.ask("CLUSTER", "MYID")
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", source)
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", target)
	host, port, _ := net.SplitHostPort(to.Addr)
	for from.ask("CLUSTER", "COUNTKEYSINSLOT", slot) != "0" {
		from.Do("MIGRATE", host, port, from.askAll("CLUSTER", "GETKEYSINSLOT", slot, "1")[0], "0", "5000")
	}
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", target)
	from.Do("CLUSTER", "SETSLOT", slot, "NODE", target)
}

// Failover kills a primary and returns when its replica has taken over and all that run
// know it.
func (c *Cluster) Failover(primary, replica *Server) {
	c.t.Helper()
	primary.Kill()
	c.await("the replica takes over", func() bool {
		for line := range strings.Lines(replica.ask("CLUSTER", "NODES")) {
			if f := strings.Fields(line); strings.Contains(f[2], "myself") && strings.Contains(f[2], "master") {
				return c.agree()
			}
		}
		return false
	})
}

// Rejoin restarts a node that was killed and returns when all of them agree again.
func (c *Cluster) Rejoin(n *Server) {
	c.t.Helper()
	n.Restart()
	c.await("the cluster is whole", func() bool { return c.agree() })
}

// Forget takes a node that has no slots any more out of the cluster: one that was killed and
// failed over, or a replica, which is then alone.
func (c *Cluster) Forget(n *Server) {
	c.t.Helper()
	id := ""
	for line := range strings.Lines(c.running().ask("CLUSTER", "NODES")) {
		if f := strings.Fields(line); strings.HasPrefix(f[1], n.Addr+"@") {
			id = f[0]
		}
	}
	c.Nodes = slices.DeleteFunc(c.Nodes, func(o *Server) bool { return o == n })
	if n.cmd != nil {
		n.Do("CLUSTER", "RESET", "HARD")
	}
	for _, other := range c.Nodes {
		if other.cmd != nil {
			other.Do("CLUSTER", "FORGET", id)
		}
	}
}

// await polls for what a cluster arrives at by itself.
func (c *Cluster) await(what string, holds func() bool) {
	c.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(startTimeout); !holds(); {
		select {
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("never seen: %s\n%s", what, c.running().ask("CLUSTER", "NODES"))
		}
	}
}

// ask returns the answer to a command, as text.
func (s *Server) ask(args ...string) string {
	s.t.Helper()
	return s.askAll(args...)[0]
}

// askAll returns the answers of a command that has several, or the one.
func (s *Server) askAll(args ...string) []string {
	s.t.Helper()
	if s.admin == nil {
		s.admin = s.Client()
	}
	answer, err := s.admin.Do(context.Background(), s.admin.B().Arbitrary(args...).Build()).ToMessage()
	if _, refused := rueidis.IsRedisErr(err); err != nil && !refused { // a test may have killed this connection, too
		answer, err = s.admin.Do(context.Background(), s.admin.B().Arbitrary(args...).Build()).ToMessage()
	}
	if err != nil {
		s.t.Fatal(fmt.Errorf("%q: %w", args, err))
	}
	if answer.IsArray() {
		all, _ := answer.AsStrSlice()
		return all
	}
	if n, err := answer.AsInt64(); err == nil {
		return []string{strconv.FormatInt(n, 10)}
	}
	text, err := answer.ToString()
	if err != nil {
		s.t.Fatal(fmt.Errorf("%q: %w", args, err))
	}
	return []string{strings.TrimPrefix(text, "txt:")} // RESP3 says that it is a text
}
