// Package faultnet stands between the two ends of a connection and does to it what
// networks do. A [Proxy] is for TCP, a [Relay] for UDP.
package faultnet

import (
	"context"
	"net"
	"sync"
	"time"
)

// Proxy forwards TCP connections to a server until it is told otherwise. What it is
// told holds for the connections that there are and for those to come. All methods
// may be called from any goroutine.
type Proxy struct {
	// Addr is where it listens.
	Addr string

	network, server string
	listener        net.Listener
	wg              sync.WaitGroup

	mu    sync.Mutex
	way   way
	moved chan struct{} // closed and replaced when way changes
	conns map[net.Conn]struct{}
}

// way is what happens to what passes.
type way struct {
	refuses     bool
	stalls      [2]bool // by direction
	delay       time.Duration
	atOnce      int // bytes; 0: as many as come
	bytesPerSec int // 0: any
}

// Direction is one of the two in which a Proxy forwards.
type Direction int

// The directions.
const (
	ToServer Direction = iota
	ToClient
)

// NewProxy returns a proxy for a server on loopback. The error is that of listening.
func NewProxy(server string) (*Proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Addr: l.Addr().String(), network: "tcp", server: server, listener: l,
		moved: make(chan struct{}), conns: make(map[net.Conn]struct{}),
	}
	p.wg.Go(p.accept)
	return p, nil
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

// Cut resets every connection and refuses others until Heal.
func (p *Proxy) Cut() {
	p.set(func(w *way) { w.refuses = true })
	p.reset()
}

// Break resets the connections that there are, and lets others through.
func (p *Proxy) Break() { p.reset() }

func (p *Proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // what is under way is lost, as when a cable is cut
		}
		_ = c.Close()
	}
}

// Stall stops forwarding without a word: in both directions a cable that was pulled,
// in one a connection that is half open.
func (p *Proxy) Stall(directions ...Direction) {
	p.set(func(w *way) {
		if len(directions) == 0 {
			w.stalls = [2]bool{true, true}
		}
		for _, d := range directions {
			w.stalls[d] = true
		}
	})
}

// Delay holds up whatever passes for so long.
func (p *Proxy) Delay(d time.Duration) { p.set(func(w *way) { w.delay = d }) }

// Shred makes what passes arrive in pieces of at most n bytes.
func (p *Proxy) Shred(n int) { p.set(func(w *way) { w.atOnce = n }) }

// Rate bounds the bytes that pass in a second, in each direction of each connection.
func (p *Proxy) Rate(bytesPerSec int) { p.set(func(w *way) { w.bytesPerSec = bytesPerSec }) }

// Heal ends every fault.
func (p *Proxy) Heal() { p.set(func(w *way) { *w = way{} }) }

func (p *Proxy) set(change func(w *way)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.way)
	close(p.moved)
	p.moved = make(chan struct{})
}

func (p *Proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(near) })
	}
}

func (p *Proxy) serve(near net.Conn) {
	defer near.Close()
	if !p.keep(near) {
		return
	}
	defer p.drop(near)
	far, err := (&net.Dialer{}).DialContext(context.Background(), p.network, p.server)
	if err != nil {
		return
	}
	defer far.Close()
	if !p.keep(far) {
		return
	}
	defer p.drop(far)
	var back sync.WaitGroup
	back.Go(func() { p.forward(near, far, ToClient) })
	p.forward(far, near, ToServer)
	back.Wait()
}

// forward copies until one of the ends is closed, and then closes both.
func (p *Proxy) forward(to, from net.Conn, d Direction) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !p.pass(to, b[:n], d) {
			return
		}
	}
}

// pass forwards b as the way is now; it is false when the connection has ended.
func (p *Proxy) pass(to net.Conn, b []byte, d Direction) bool {
	for len(b) > 0 {
		w, ok := p.await(d)
		if !ok {
			return false
		}
		n := len(b)
		if w.atOnce > 0 {
			n = min(n, w.atOnce)
		}
		pause := w.delay
		if w.bytesPerSec > 0 {
			n = min(n, max(1, w.bytesPerSec/100))
			pause += time.Duration(n) * time.Second / time.Duration(w.bytesPerSec)
		}
		if pause > 0 {
			time.Sleep(pause)
		}
		if _, err := to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
	}
	return true
}

// await waits while the direction stalls; it is false when the connection is to end.
func (p *Proxy) await(d Direction) (way, bool) {
	for {
		p.mu.Lock()
		w, moved := p.way, p.moved
		p.mu.Unlock()
		if w.refuses || !w.stalls[d] {
			return w, !w.refuses
		}
		<-moved
	}
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.way.refuses {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
