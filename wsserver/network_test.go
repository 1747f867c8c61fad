package wsserver_test

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// network is what lies between clients and a hub: it can be cut.
type network struct {
	mu      sync.Mutex
	conns   map[int]net.Conn
	severed map[int]bool
}

func (n *network) dialer(i int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.severed[i] {
			return nil, errors.New("severed")
		}
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		n.conns[i] = c
		return c, err
	}
}

// set cuts or mends the way of client i. A cut is without a word to either end.
func (n *network) set(i int, severed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.severed[i] = severed
	if severed {
		n.conns[i].Close()
	}
}

func peers(h *wsserver.Hub) (all []eventtarget.Peer) {
	for s := range h.Spokes() {
		all = append(all, s)
	}
	return all
}
