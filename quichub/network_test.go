package quichub_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/quichub"
)

// newRelay returns what lies between a spoke and its hub. It ends behind the hub, so
// that all ends hear how their connections do.
func newRelay(t *testing.T, h *quichub.Hub) *faultnet.Relay {
	t.Helper()
	r, err := faultnet.NewRelay(h.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		<-h.Done()
		r.Close()
	})
	return r
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

// closeAll closes the relays between endpoints that are closed, once nothing passes.
func closeAll(endpoints []eventtarget.Endpoint, relays []*faultnet.Relay) {
	for _, e := range endpoints {
		<-e.Done()
	}
	for _, r := range relays {
		if r != nil {
			r.Close()
		}
	}
}

// dialForeign connects a plain peer.
func dialForeign(ctx context.Context, address string) (*quicconn.Conn, error) {
	conn, stream, err := dialRaw(ctx, address, quicconn.PlainProtocol)
	if err != nil {
		return nil, err
	}
	c := quicconn.New(conn, stream, 1<<21)
	return c, errors.Join(c.Greet(), c.Await(ctx))
}

// dialSession connects a peer that is to greet the hub itself.
func dialSession(ctx context.Context, address string) (*quicconn.Conn, error) {
	conn, stream, err := dialRaw(ctx, address, quicconn.SessionProtocol)
	if err != nil {
		return nil, err
	}
	c := quicconn.New(conn, stream, 1<<21)
	return c, errors.Join(c.Greet(), c.Await(ctx))
}

// dialRaw connects a peer that has the spokes' key and otherwise does what it likes.
func dialRaw(ctx context.Context, address, protocol string) (*quic.Conn, *quic.Stream, error) {
	security, err := forHub().Client(protocol)
	if err != nil {
		return nil, nil, err
	}
	times, err := quicconn.Times{}.WithDefaults()
	if err != nil {
		return nil, nil, err
	}
	conn, err := quic.DialAddr(ctx, address, security, quicconn.Config(times, -1))
	if err != nil {
		return nil, nil, err
	}
	stream, err := conn.OpenStream()
	return conn, stream, err
}

// duplicates lets the hub have one spoke of the spokes' key, or any number.
func duplicates(replace bool) hub.Duplicates {
	if replace {
		return hub.Replace
	}
	return hub.Allow
}
