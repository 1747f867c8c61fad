package quichub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/quichub"
)

// way is what lies between a spoke and its hub: a relay of UDP packets, as a router
// with address translation is one, that can be cut, lose packets and change the
// address that the hub sees.
type way struct {
	hub   *net.UDPAddr
	front *net.UDPConn // where the spoke sends to
	cut   atomic.Bool
	loss  atomic.Int32 // in percent

	mu    sync.Mutex
	back  *net.UDPConn // what the hub sees
	spoke *net.UDPAddr
}

func newWay(hub net.Addr) (*way, error) {
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	w := &way{hub: hub.(*net.UDPAddr), front: front}
	if err := w.rebind(); err != nil {
		return nil, err
	}
	go w.forth()
	return w, nil
}

// rebind gives the spoke another address in the hub's eyes.
func (w *way) rebind() error {
	back, err := net.DialUDP("udp", nil, w.hub)
	if err != nil {
		return err
	}
	w.mu.Lock()
	old := w.back
	w.back = back
	w.mu.Unlock()
	if old != nil {
		old.Close()
	}
	go w.forward(back)
	return nil
}

func (w *way) passes() bool {
	return !w.cut.Load() && rand.Int32N(100) >= w.loss.Load()
}

func (w *way) forth() {
	packet := make([]byte, 1<<16)
	for {
		n, from, err := w.front.ReadFromUDP(packet)
		if err != nil {
			return
		}
		w.mu.Lock()
		back := w.back
		w.spoke = from
		w.mu.Unlock()
		if w.passes() {
			_, _ = back.Write(packet[:n]) // a network says nothing of what it loses
		}
	}
}

func (w *way) forward(back *net.UDPConn) {
	packet := make([]byte, 1<<16)
	for {
		n, err := back.Read(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		w.mu.Lock()
		spoke := w.spoke
		w.mu.Unlock()
		if err == nil && w.passes() { // another error is that nobody listens there now
			_, _ = w.front.WriteToUDP(packet[:n], spoke)
		}
	}
}

func (w *way) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.front.Close()
	w.back.Close()
}

// keys are made once: the tests are about what is done with them.
var keys = sync.OnceValue(func() (k [2]*identity.Key) {
	for i := range k {
		key, err := identity.New()
		if err != nil {
			panic(err)
		}
		k[i] = key
	}
	return k
})

func hubKey() *identity.Key   { return keys()[0] }
func spokeKey() *identity.Key { return keys()[1] }

// forSpokes is the identity of a hub whose spokes have the spokes' key, and forHub
// that of such a spoke.
func forSpokes() identity.Config {
	return identity.Config{Key: hubKey(), Pins: []identity.Pin{spokeKey().Pin()}}
}

func forHub() identity.Config {
	return identity.Config{Key: spokeKey(), Pins: []identity.Pin{hubKey().Pin()}}
}

func newHub(t *testing.T, o quichub.Options) *quichub.Hub {
	t.Helper()
	if o.Identity.Key == nil && o.Identity.Certificate == nil {
		o.Identity = forSpokes()
	}
	h, err := quichub.Listen("127.0.0.1:0", &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		<-h.Done()
	})
	return h
}

func peers(h *quichub.Hub) (all []eventtarget.Peer) {
	for s := range h.Spokes() {
		all = append(all, s)
	}
	return all
}

// closeAll closes the ways between endpoints that are closed, once nothing passes.
func closeAll(endpoints []eventtarget.Endpoint, ways []*way) {
	for _, e := range endpoints {
		<-e.Done()
	}
	for _, w := range ways {
		if w != nil {
			w.close()
		}
	}
}

// dialForeign connects a plain peer.
func dialForeign(ctx context.Context, address string) (*quicconn.Conn, error) {
	security, err := forHub().Client(quicconn.PlainProtocol)
	if err != nil {
		return nil, err
	}
	times, err := quicconn.Times{}.WithDefaults()
	if err != nil {
		return nil, err
	}
	conn, err := quic.DialAddr(ctx, address, security, quicconn.Config(times, -1))
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStream()
	if err != nil {
		return nil, err
	}
	c := quicconn.New(conn, stream, 1<<21)
	return c, errors.Join(c.Greet(), c.Await(ctx))
}

// duplicates lets the hub have one spoke of the spokes' key, or any number.
func duplicates(replace bool) hub.Duplicates {
	if replace {
		return hub.Replace
	}
	return hub.Allow
}
