package wsserver

import (
	"net/http"
	"net/netip"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/httpgate"
	"github.com/eventtarget-go/toolkit/internal/wire"
	"github.com/eventtarget-go/toolkit/internal/wsconn"
)

// Options configures a [Hub]: the hub's own, and what concerns the upgrade.
type Options struct {
	// Options are those of the hub. Adapter and Framing are set by New.
	hub.Options
	// Origins are the hosts, or origins with a scheme, that pages of other
	// origins may connect from, as patterns of [path.Match]. The host that was
	// asked itself is always allowed, and so is a request without an Origin,
	// which no browser sends.
	Origins []string
	// Authenticate decides about a request before it is upgraded. An error that is,
	// or wraps, a [*Refusal] is answered with its status and text, any other with
	// 401 and no text. nil lets everyone in, as nobody.
	Authenticate func(r *http.Request) (hub.Grant, error)
	// Hosts are the names, without port, that a request may ask for, or "*" for any.
	// nil: any, but on a loopback address only "localhost" and loopback addresses,
	// unless a trusted proxy asks: a page elsewhere whose name was made to point here
	// (DNS rebinding) asks for its own.
	Hosts []string
	// TrustedProxies are the networks whose X-Forwarded-For is believed: the address
	// of a spoke is then the last one in it that is no trusted proxy's.
	TrustedProxies []netip.Prefix
	// KeepHeaders names the headers of the request that a spoke keeps.
	KeepHeaders []string
}

// Hub is a [hub.Hub] and an [http.Handler] whose every upgraded connection is a
// spoke.
type Hub struct {
	*hub.Hub
	opts Options
	gate httpgate.Gate
}

// Refusal is an answer to a request that is not upgraded.
type Refusal = httpgate.Refusal

// New returns a hub; nil options are the defaults. The error says what is wrong
// with the options.
func New(opts *Options) (*Hub, error) {
	h := &Hub{}
	if opts != nil {
		h.opts = *opts
	}
	h.opts.Adapter = "wsserver"
	if err := httpgate.CheckOrigins(h.opts.Origins); err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: h.opts.Adapter, Err: err}
	}
	h.opts.Framing = appendHeader
	engine, err := hub.New(h.opts.Options)
	if err != nil {
		return nil, err
	}
	h.Hub = engine
	h.gate = httpgate.Gate{
		Hub: engine, Transport: "websocket", Authenticate: h.opts.Authenticate, Hosts: h.opts.Hosts, TrustedProxies: h.opts.TrustedProxies, KeepHeaders: h.opts.KeepHeaders,
	}
	return h, nil
}

// ServeHTTP upgrades the request and makes the connection a spoke. It returns when
// OnConnect has, or the spoke has its new connection; that lives on.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	meta := h.gate.Meta(r)
	if err := h.gate.Check(r, &meta); err != nil {
		httpgate.Refuse(w, err)
		return
	}
	var offered []string
	if h.Sessions() {
		offered = []string{wire.Subprotocol}
	}
	since := h.Position()
	conn := new(connection)
	ws, err := websocket.Accept(&upgrade{w, conn}, r, &websocket.AcceptOptions{
		OriginPatterns:  h.opts.Origins,
		CompressionMode: websocket.CompressionDisabled,
		Subprotocols:    offered,
		OnPingReceived:  conn.pinged,
		OnPongReceived:  conn.ponged,
	})
	if err != nil {
		return // Accept has answered
	}
	meta.Since = since
	// The errors concern the connection alone, and it has been closed.
	conn.reads(ws, wire.MaxFrame(h.opts.Limits))
	_, _ = h.Attach(conn, meta)
}

// AttachConn makes a connection that was upgraded elsewhere a spoke, with what is
// to be known of its request; whom to let in is the caller's. Nothing else may read from ws or write to it. Such
// a connection costs a write for each event.
func (h *Hub) AttachConn(ws *websocket.Conn, r *http.Request) (*hub.Spoke, error) {
	var meta hub.Meta
	if r != nil {
		meta = h.gate.Meta(r)
	}
	c := wsconn.New(ws, wire.MaxFrame(h.opts.Limits))
	c.Foreign = true
	return h.Attach(c, meta)
}
