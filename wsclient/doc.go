// Package wsclient is an event target at the end of a WebSocket: a spoke of a hub,
// or a peer of any server that sends envelopes.
//
// # Usage
//
//	c, err := wsclient.New("ws://127.0.0.1:8080/ws", nil)
//	err = c.Ready(ctx)
//
// The client connects by itself, and again when the connection is lost, after a
// pause that grows with jitter. Listeners stay through that.
//
// # Delivery
//
// As package link: what is dispatched while the connection is down is sent once it
// is back. With a hub of this toolkit there is a session, and nothing is lost; with
// another server what was under way when the connection broke is, and told as a gap.
//
// # Ordering
//
// As package link.
//
// # Slow listeners
//
// Queued listeners never hold up the goroutine that reads: pings are answered
// while one blocks.
//
// # Errors and faults
//
// A message that is no envelope is dropped and told. A server that refuses the
// upgrade with 401 or 403, or closes with 1008, is not asked again: the client
// closes, and Ready tells why.
//
// # Closing
//
// Close and Shutdown close with 1000. The server has one second to answer.
//
// # Limits
//
// Those of package link. Compression is off.
package wsclient
