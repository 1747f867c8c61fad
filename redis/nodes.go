package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// nodes are the servers of a bus: one, or those of a cluster as far as they are known.
type nodes struct {
	option rueidis.ClientOption // but for the address, of each
	fixed  bool                 // there is one, which is no cluster's

	asking sync.WaitGroup
	mu     sync.Mutex
	known  map[string]*node // by address
}

// node is a server and the client for it, which is kept for as long as the target
// lives: a part that moves away may come back.
type node struct {
	once   sync.Once
	client rueidis.Client
	err    error
}

func (n *nodes) node(address string) *node {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = make(map[string]*node)
	}
	if n.known[address] == nil {
		n.known[address] = new(node)
	}
	return n.known[address]
}

// client returns the client for an address: there is one whether it could connect or
// not, but for options that it does not take.
func (n *nodes) client(address string) (rueidis.Client, error) {
	found := n.node(address)
	found.once.Do(func() {
		o := n.option
		o.InitAddress = []string{address}
		found.client, found.err = rueidis.NewClient(o)
	})
	return found.client, found.err
}

// close ends the clients, which nobody uses any more.
func (n *nodes) close() {
	n.asking.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, known := range n.known {
		if known.client != nil {
			known.client.Close()
		}
	}
}

// betterWithin is how long others may take to know better than the first answer.
const betterWithin = 100 * time.Millisecond

// owner asks the cluster which of its nodes has a slot. The first answer counts, unless
// it is avoid: a node that lags behind may still say so, and it is the answer only if
// nobody knows better.
func (n *nodes) owner(ctx context.Context, slot int, avoid string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, n.option.Dialer.Timeout+n.option.ConnWriteTimeout)
	defer cancel()
	type answer struct {
		owner string
		err   error
	}
	asked := n.addresses()
	answers := make(chan answer, len(asked))
	for _, address := range asked {
		n.asking.Go(func() {
			owner, err := n.ask(ctx, address, slot)
			answers <- answer{owner, err}
		})
	}
	var last answer
	for range asked {
		select {
		case a := <-answers:
			switch {
			case a.err == nil && a.owner != avoid:
				return a.owner, nil
			case a.err == nil && last.owner == "":
				defer time.AfterFunc(betterWithin, cancel).Stop()
			}
			if last.owner == "" {
				last = a
			}
		case <-ctx.Done():
			if last.owner == "" {
				last.err = cmp.Or(last.err, context.Cause(ctx))
			}
			return last.owner, last.err
		}
	}
	return last.owner, last.err
}

// addresses returns those of all nodes that are known.
func (n *nodes) addresses() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := slices.Clone(n.option.InitAddress)
	for address := range n.known {
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

var errNobody = errors.New("no node of the cluster has the slot")

// ask has one node tell who has a slot, and remembers the nodes that it names.
func (n *nodes) ask(ctx context.Context, address string, slot int) (owner string, err error) {
	client, err := n.client(address)
	if client == nil {
		return "", err
	}
	host, _, _ := net.SplitHostPort(address)
	ranges, err := client.Do(ctx, client.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return "", outcome(err)
	}
	for _, r := range ranges { // each is first, last, primary, replica…
		fields, err := r.ToArray()
		if err != nil || len(fields) < 3 {
			return "", fmt.Errorf("CLUSTER SLOTS of %s is not understood", address)
		}
		first, _ := fields[0].AsInt64()
		last, _ := fields[1].AsInt64()
		for i, f := range fields[2:] {
			named, ok := nodeAddress(f, host)
			if !ok {
				continue
			}
			n.node(named)
			if i == 0 && int(first) <= slot && slot <= int(last) {
				owner = named
			}
		}
	}
	if owner == "" {
		return "", notSent{errNobody}
	}
	return owner, nil
}

// nodeAddress reads a node of CLUSTER SLOTS. One that does not say its host is the one
// that was asked.
func nodeAddress(m rueidis.RedisMessage, asked string) (address string, ok bool) {
	fields, err := m.ToArray()
	if err != nil || len(fields) < 2 {
		return "", false
	}
	host, _ := fields[0].ToString()
	if host == "" {
		host = asked
	}
	port, err := fields[1].AsInt64()
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), err == nil && host != "?"
}

// slotOf returns the slot of a name without braces.
func slotOf(name string) int { return int(crc16(name)) % 16384 }

// crc16 is the checksum that a cluster makes slots of (XMODEM).
func crc16(s string) (sum uint16) {
	for i := range len(s) {
		sum ^= uint16(s[i]) << 8
		for range 8 {
			carry := sum&0x8000 != 0
			sum <<= 1
			if carry {
				sum ^= 0x1021
			}
		}
	}
	return sum
}
