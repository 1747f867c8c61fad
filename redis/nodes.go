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

// node is a server and the client for it. It is kept while anybody uses it, and while the
// cluster names it: a part that moves away may come back.
type node struct {
	of      *nodes
	address string
	once    sync.Once
	client  rueidis.Client
	err     error

	users   int // under of.mu
	unnamed int // how many answers in a row did not name it. Under of.mu
}

// forgetAfter is how many answers in a row must not name a node until it is forgotten: one
// may be of a node that lags behind.
const forgetAfter = 8

// get returns the node at an address. Under mu.
func (n *nodes) get(address string) *node {
	x := n.known[address]
	if x == nil {
		x = &node{of: n, address: address}
		if n.known == nil {
			n.known = make(map[string]*node)
		}
		n.known[address] = x
	}
	return x
}

// use returns the node at an address, with another user: release must follow.
func (n *nodes) use(address string) *node {
	n.mu.Lock()
	defer n.mu.Unlock()
	x := n.get(address)
	x.users++
	return x
}

// useAll is use, for all that are known and those of the URL.
func (n *nodes) useAll() (all []*node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, address := range n.option.InitAddress {
		n.get(address)
	}
	for _, x := range n.known {
		x.users++
		all = append(all, x)
	}
	return all
}

// also counts another user, beside one that there is.
func (x *node) also() {
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	x.users++
}

// release is for a user that does not need the node any more. The last one forgets it if
// the cluster does not name it either.
func (x *node) release() {
	n := x.of
	n.mu.Lock()
	defer n.mu.Unlock()
	x.users--
	if x.users > 0 || x.unnamed < forgetAfter || slices.Contains(n.option.InitAddress, x.address) {
		return
	}
	delete(n.known, x.address)
	if x.client != nil {
		n.asking.Go(x.client.Close) // which waits for a server that may say nothing
	}
}

// open returns the client for a node that is used: there is one whether it could connect or
// not, but for options that it does not take.
func (x *node) open() (rueidis.Client, error) {
	x.once.Do(func() {
		o := x.of.option
		o.InitAddress = []string{x.address}
		x.client, x.err = rueidis.NewClient(o)
	})
	return x.client, x.err
}

// close ends the clients, which nobody uses any more.
func (n *nodes) close() {
	n.asking.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.known {
		if x.client != nil {
			x.client.Close()
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
	asked := n.useAll()
	answers := make(chan answer, len(asked))
	for _, x := range asked {
		n.asking.Go(func() {
			defer x.release()
			owner, err := x.ask(ctx, slot)
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

var errNobody = errors.New("no node of the cluster has the slot")

// ask has a node tell who has a slot, and remembers the nodes that it names.
func (x *node) ask(ctx context.Context, slot int) (owner string, err error) {
	client, err := x.open()
	if client == nil {
		return "", err
	}
	host, _, _ := net.SplitHostPort(x.address)
	ranges, err := client.Do(ctx, client.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return "", outcome(err)
	}
	named := make(map[string]bool)
	for _, r := range ranges { // each is first, last, primary, replica…
		fields, err := r.ToArray()
		if err != nil || len(fields) < 3 {
			return "", fmt.Errorf("CLUSTER SLOTS of %s is not understood", x.address)
		}
		first, _ := fields[0].AsInt64()
		last, _ := fields[1].AsInt64()
		for i, f := range fields[2:] {
			address, ok := nodeAddress(f, host)
			if !ok {
				continue
			}
			named[address] = true
			if i == 0 && int(first) <= slot && slot <= int(last) {
				owner = address
			}
		}
	}
	x.of.named(named, owner != "")
	if owner == "" {
		return "", notSent{errNobody}
	}
	return owner, nil
}

// named remembers the nodes that an answer names, and if it counts that it does not name
// the others: one that knows no owner may come from a node that has left the cluster.
func (n *nodes) named(named map[string]bool, counts bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for address := range named {
		n.get(address).unnamed = 0
	}
	for address, x := range n.known {
		if counts && !named[address] {
			x.unnamed++
		}
	}
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
