// Package faultnet stands between the two ends of a connection and does to it what
// networks do. A [Proxy] is for TCP, a [Relay] for UDP, a [Pipe] for the pipes between two
// processes.
package faultnet

import (
	"context"
	"net"
	"sync"
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

	stream
	conns map[net.Conn]struct{} // under mu
}

// NewProxy returns a proxy for a server on loopback. The error is that of listening.
func NewProxy(server string) (*Proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Addr: l.Addr().String(), network: "tcp", server: server, listener: l,
		stream: newStream(), conns: make(map[net.Conn]struct{}),
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
