// Package wsserver is a hub for WebSocket: an [http.Handler] that makes a spoke out
// of every connection that is upgraded.
//
// # Usage
//
//	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{Relay: true}})
//	http.Handle("/ws", h)
//
// The caller owns the HTTP server; set its ReadHeaderTimeout. A connection that
// was upgraded elsewhere can be handed in with [Hub.AttachConn]. Each message is an
// envelope, so that a browser's ws.send(JSON.stringify({type, id, payload})) is all that a
// peer needs. One that offers the subprotocol "eventtarget.v1", as package wsclient does,
// gets a session, which outlives the connection: see docs/protocol.md.
//
// Options.Authenticate decides about each request before it is upgraded; package auth
// has ready-made ones. Origins, Hosts and TrustedProxies say where requests may come
// from.
//
// # Delivery
//
// As package hub: an event is framed once for all spokes and written to each in as
// few writes as its socket takes. A spoke begins in the log where the upgrade was
// answered, so what is dispatched once the peer knows that it is connected
// reaches it.
//
// # Ordering
//
// As package hub.
//
// # Slow spokes
//
// A socket that is full never holds up another. A spoke that takes nothing for
// WriteTimeout is closed with 4008; one that falls behind meets the hub's Overflow.
//
// # Errors and faults
//
// A message that is no envelope closes its connection with 1007, one over the
// limit with 1009, a breach of RFC 6455 with 1002.
//
// # Closing
//
// Close and Shutdown close the spokes with 1001, Restart with 1012. A peer has one
// second to answer a close frame, also one that never reads.
//
// # Limits
//
// Those of package hub. On Linux an idle connection takes 5 to 6 KB, also behind a proxy that does
// the TLS; where this server does it, on other systems, and without a Heartbeat from the first
// message on, twice as much, for the stack of a goroutine that waits. Compression is off: it costs over a megabyte for each
// connection, or a compression for each spoke and event. WebSocket over HTTP/2
// (RFC 8441) is not supported.
package wsserver
