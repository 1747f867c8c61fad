package redistest

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/faultnet"
)

// NewProxy returns a proxy for a server, which ends with the test.
func NewProxy(t testing.TB, server string) *faultnet.Proxy {
	t.Helper()
	p, err := faultnet.NewProxy(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Links are all connections of one client: each server that it dials has a proxy.
type Links struct {
	mu      sync.Mutex
	proxies map[string]*faultnet.Proxy
	state   func(*faultnet.Proxy) // that a new proxy must be put in; nil: healthy
}

// Dial is the client's way to a server.
func (l *Links) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	p, err := l.proxy(address)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, p.Addr)
}

func (l *Links) proxy(address string) (*faultnet.Proxy, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.proxies[address]; p != nil {
		return p, nil
	}
	p, err := faultnet.NewProxy(address)
	if err != nil {
		return nil, err
	}
	if l.proxies == nil {
		l.proxies = make(map[string]*faultnet.Proxy)
	}
	l.proxies[address] = p
	if l.state != nil {
		l.state(p)
	}
	return p, nil
}

func (l *Links) each(do func(*faultnet.Proxy)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = do
	for _, p := range l.proxies {
		do(p)
	}
}

// Cut breaks every connection, and lets no other through until Heal.
func (l *Links) Cut() { l.each(func(p *faultnet.Proxy) { p.Cut() }) }

// Stall makes a black hole of every connection until Heal.
func (l *Links) Stall() { l.each(func(p *faultnet.Proxy) { p.Stall() }) }

// Heal lets everything through again.
func (l *Links) Heal() { l.each(func(p *faultnet.Proxy) { p.Heal() }) }

// Close ends the proxies.
func (l *Links) Close() { l.each(func(p *faultnet.Proxy) { p.Close() }) }
