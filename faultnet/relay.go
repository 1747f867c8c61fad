package faultnet

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Relay forwards UDP packets between a server and those who send to it, as a router
// with address translation does: the server sees another port for each of them, until
// nothing has passed there for two minutes (RFC 4787 §4.3). What it is told holds for the packets to come. All methods may be
// called from any goroutine.
type Relay struct {
	// Addr is where it listens.
	Addr string

	server netip.AddrPort
	front  *net.UDPConn
	idle   time.Duration // how long a client is remembered that is silent
	wg     sync.WaitGroup

	mu     sync.Mutex
	way    packetWay
	counts Counts
	flows  map[netip.AddrPort]*port // what the server sees of each client
	closed bool
}

// port is what the server sees of a client.
type port struct {
	*net.UDPConn
	used time.Time // last, by either end; under the relay's mu
}

// packetWay is what happens to packets: the last three in percent of them.
type packetWay struct {
	stalls                [2]bool // by direction
	lose, double, reorder int
}

// Counts is what became of the packets so far.
type Counts struct {
	Passed    int // the ones below that were not lost are among them
	Lost      int // those that a stall took too
	Doubled   int
	Reordered int
}

// A packet that is reordered comes later by up to this time, behind what comes
// meanwhile.
const late = 5 * time.Millisecond

// idle is how long a router remembers at least (RFC 4787 §4.3, REQ-5).
const idle = 2 * time.Minute

// NewRelay returns a relay to a server on loopback. The error is that of listening.
func NewRelay(server string) (*Relay, error) { return newRelay(server, idle) }

func newRelay(server string, idle time.Duration) (*Relay, error) {
	addr, err := netip.ParseAddrPort(server)
	if err != nil {
		return nil, err
	}
	front, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		return nil, err
	}
	_ = front.SetReadBuffer(1 << 20) // what it does not get it loses, as it may
	r := &Relay{Addr: front.LocalAddr().String(), server: addr, front: front, idle: idle, flows: make(map[netip.AddrPort]*port)}
	r.wg.Go(r.forth)
	return r, nil
}

// Close ends the relay. What it holds back then is lost.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	for _, back := range r.flows {
		_ = back.Close()
	}
	r.mu.Unlock()
	_ = r.front.Close()
	r.wg.Wait()
}

// Stall loses every packet: in both directions a cable that was pulled, in one a
// connection that is half open.
func (r *Relay) Stall(directions ...Direction) {
	r.set(func(w *packetWay) {
		if len(directions) == 0 {
			w.stalls = [2]bool{true, true}
		}
		for _, d := range directions {
			w.stalls[d] = true
		}
	})
}

// Lose loses so many of a hundred packets.
func (r *Relay) Lose(percent int) { r.set(func(w *packetWay) { w.lose = percent }) }

// Duplicate lets so many of a hundred packets arrive twice.
func (r *Relay) Duplicate(percent int) { r.set(func(w *packetWay) { w.double = percent }) }

// Reorder lets so many of a hundred packets arrive behind some that came later.
func (r *Relay) Reorder(percent int) { r.set(func(w *packetWay) { w.reorder = percent }) }

// Heal ends every fault.
func (r *Relay) Heal() { r.set(func(w *packetWay) { *w = packetWay{} }) }

func (r *Relay) set(change func(w *packetWay)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.way)
}

// Rebind gives each client another port in the server's eyes, as a router that has
// forgotten its table: what the server sends to the old one is lost.
func (r *Relay) Rebind() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for client, old := range r.flows {
		// The new port is taken before the old one is free: it is another.
		if err := r.bind(client, old.used); err != nil {
			return err
		}
		_ = old.Close()
	}
	return nil
}

// Counts returns what became of the packets so far.
func (r *Relay) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// bind makes a port for a client. Under mu.
func (r *Relay) bind(client netip.AddrPort, used time.Time) error {
	if r.closed {
		return net.ErrClosed
	}
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "udp", r.server.String())
	if err != nil {
		return err
	}
	back := &port{UDPConn: conn.(*net.UDPConn)}
	_ = back.SetReadBuffer(1 << 20)
	r.use(back, used)
	r.flows[client] = back
	r.wg.Go(func() { r.back(back, client) })
	return nil
}

// use notes that something passes at a port. Under mu.
func (r *Relay) use(p *port, now time.Time) {
	p.used = now
	_ = p.SetReadDeadline(now.Add(r.idle))
}

// flow returns the port of a client that sends, or nil if there is none to be had.
func (r *Relay) flow(client netip.AddrPort) *port {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.flows[client] == nil && r.bind(client, now) != nil {
		return nil
	}
	r.use(r.flows[client], now)
	return r.flows[client]
}

// forth forwards what clients send.
func (r *Relay) forth() {
	packet := make([]byte, 1<<16)
	for {
		n, client, err := r.front.ReadFromUDPAddrPort(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || r.flow(client) == nil {
			continue
		}
		r.pass(packet[:n], ToServer, func(packet []byte) {
			if back := r.flow(client); back != nil { // which may be another by now
				_, _ = back.Write(packet) // a network says nothing of what it loses
			}
		})
	}
}

// back forwards what the server sends to a client.
func (r *Relay) back(back *port, client netip.AddrPort) {
	packet := make([]byte, 1<<16)
	for {
		n, err := back.Read(packet)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.forget(back, client)
			return
		case err != nil:
			continue // nobody listens at the server's port now
		}
		r.mu.Lock()
		r.use(back, time.Now())
		r.mu.Unlock()
		r.pass(packet[:n], ToClient, func(packet []byte) { _, _ = r.front.WriteToUDPAddrPort(packet, client) })
	}
}

// forget takes the port from a client that has been silent.
func (r *Relay) forget(back *port, client netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flows[client] == back {
		delete(r.flows, client)
	}
	_ = back.Close()
}

// pass does to a packet what happens on the way.
func (r *Relay) pass(packet []byte, d Direction, send func([]byte)) {
	r.mu.Lock()
	happens := func(percent int) bool { return rand.IntN(100) < percent } //nolint:gosec // faults need no secret
	lost := r.way.stalls[d] || happens(r.way.lose)
	double, reorder := happens(r.way.double), happens(r.way.reorder)
	r.counts.add(lost, double, reorder)
	r.mu.Unlock()
	if lost {
		return
	}
	times := 1
	if double {
		times = 2
	}
	for range times {
		if !reorder {
			send(packet)
			continue
		}
		kept := append([]byte(nil), packet...)
		time.AfterFunc(rand.N(late), func() { send(kept) }) //nolint:gosec // as above
	}
}

func (c *Counts) add(lost, double, reorder bool) {
	if lost {
		c.Lost++
		return
	}
	c.Passed++
	if double {
		c.Doubled++
	}
	if reorder {
		c.Reordered++
	}
}
