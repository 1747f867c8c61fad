package quichub

import (
	"context"
	"net"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
)

// Options configures a [Hub]: the hub's own, and what concerns the connections.
type Options struct {
	// Options are those of the hub. Adapter and Framing are set by New.
	hub.Options
	ListenerOptions
}

const adapter = "quichub"

// Hub is a [hub.Hub] on a UDP socket, whose every accepted connection is a spoke.
//
// Owns, beside what the hub's engine does: its [Listener].
type Hub struct {
	*hub.Hub
	listener *Listener
}

// Listen returns a hub on a UDP address such as "127.0.0.1:8443" or ":8443". The
// error says what is wrong with the address or the options.
func Listen(address string, opts *Options) (*Hub, error) {
	socket, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, fail(err)
	}
	return New(socket, opts)
}

// New returns a hub on a socket, which it owns from now on, in case of an error too.
// The error says what is wrong with the options.
func New(socket net.PacketConn, opts *Options) (*Hub, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Adapter, o.Framing = adapter, quicconn.AppendHeader
	engine, err := hub.New(o.Options)
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	l, err := newListener(engine, socket, o.ListenerOptions)
	if err != nil {
		_ = engine.Close()
		return nil, err
	}
	l.framed = true
	go l.run()
	return &Hub{Hub: engine, listener: l}, nil
}

// Addr returns the address that the hub listens at.
func (h *Hub) Addr() net.Addr { return h.listener.Addr() }

// Shutdown is that of [hub.Hub], and waits for the socket to be closed too.
func (h *Hub) Shutdown(ctx context.Context) error {
	if err := h.Hub.Shutdown(ctx); err != nil {
		return err
	}
	select {
	case <-h.Done():
	case <-ctx.Done(): // everything is drained
	}
	return nil
}

// Done is closed when the hub is closed, its goroutines have ended and its socket
// is closed.
func (h *Hub) Done() <-chan struct{} { return h.listener.Done() }

func fail(err error) error {
	return &eventtarget.Error{Op: "open", Adapter: adapter, Err: err}
}
