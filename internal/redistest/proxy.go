package redistest

import (
	"context"
	"net"
	"sync"
	"testing"
)

// Proxy forwards connections to a server until it is told otherwise.
type Proxy struct {
	// Addr is where it listens.
	Addr string

	server   string
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	mode  mode
	moved chan struct{} // closed and replaced when mode changes
	conns map[net.Conn]struct{}
}

type mode uint8

const (
	forwards mode = iota
	refuses
	stalls
)

// NewProxy returns a proxy for a server, which ends with the test.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Addr: l.Addr().String(), server: server, listener: l,
		moved: make(chan struct{}), conns: make(map[net.Conn]struct{}),
	}
	p.wg.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

// Cut ends every connection and refuses others until Heal.
func (p *Proxy) Cut() {
	p.set(refuses)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// Stall stops forwarding, both ways and without a word, until Heal: a cable that
// was pulled.
func (p *Proxy) Stall() { p.set(stalls) }

// Heal forwards again.
func (p *Proxy) Heal() { p.set(forwards) }

func (p *Proxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
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
	if !p.keep(near) || !p.pass() {
		return
	}
	defer p.drop(near)
	far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.server)
	if err != nil {
		return
	}
	defer far.Close()
	if !p.keep(far) {
		return
	}
	defer p.drop(far)
	back := make(chan struct{})
	go func() {
		defer close(back)
		p.forward(near, far)
	}()
	p.forward(far, near)
	<-back
}

// forward copies until one of the ends is closed, and then closes both.
func (p *Proxy) forward(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !p.pass() {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// pass waits while the proxy stalls; it is false when the connection is to end.
func (p *Proxy) pass() bool {
	for {
		p.mu.Lock()
		m, moved := p.mode, p.moved
		p.mu.Unlock()
		if m != stalls {
			return m == forwards
		}
		<-moved
	}
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == refuses {
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
