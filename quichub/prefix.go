package quichub

import (
	"net"
	"net/netip"
	"sync"
)

// prefixes counts connections by where they come from: a /24 of IPv4, which is often
// one network, or a /64 of IPv6, of which a single household has at least one.
type prefixes struct {
	most int // 0: any number

	mu    sync.Mutex
	conns map[netip.Prefix]int
}

// enter counts a connection and returns what takes it back. ok is false when there is
// no room.
func (p *prefixes) enter(addr net.Addr) (leave func(), ok bool) {
	prefix, known := prefixOf(addr)
	if p.most == 0 || !known {
		return func() {}, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns[prefix] >= p.most {
		return nil, false
	}
	if p.conns == nil {
		p.conns = make(map[netip.Prefix]int)
	}
	p.conns[prefix]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.conns[prefix]--; p.conns[prefix] == 0 {
			delete(p.conns, prefix)
		}
	}, true
}

// crowded tells whether half of the room is taken: the rest is for those whose address
// is their own, so that nobody keeps others out by forging theirs.
func (p *prefixes) crowded(addr net.Addr) bool {
	prefix, known := prefixOf(addr)
	if p.most == 0 || !known {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return 2*p.conns[prefix] >= p.most
}

func prefixOf(addr net.Addr) (prefix netip.Prefix, ok bool) {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return prefix, false
	}
	ip, bits := udp.AddrPort().Addr().Unmap().WithZone(""), 64
	if ip.Is4() {
		bits = 24
	}
	prefix, err := ip.Prefix(bits)
	return prefix, err == nil
}
