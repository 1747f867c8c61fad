// Package quicspoke is an event target at the end of a QUIC connection: a spoke of a
// hub, both known by their keys.
//
// # Usage
//
//	s, err := quicspoke.New("127.0.0.1:8443", &quicspoke.Options{
//		Identity: identity.Config{Key: key, Pins: []identity.Pin{hubPin}},
//	})
//	err = s.Ready(ctx)
//
// The spoke connects by itself, and again when the connection is lost, after a pause
// that grows with jitter. Listeners stay through that. An address that changes on
// the way, as behind a NAT, does not end the connection.
//
// # Delivery
//
// As package link: what is dispatched at either end while the connection is down
// arrives once it is back, as long as the hub keeps the session.
//
// # Ordering
//
// As package link.
//
// # Slow listeners
//
// Queued listeners never hold up the goroutine that reads. Signs of life are
// answered by QUIC itself.
//
// # Errors and faults
//
// A message that is no envelope is dropped and told. A hub that has proved who it is
// and refuses the spoke's key, or closes with 0x5, is not asked again: the spoke
// closes, and Ready tells why with an [identity.Error]. So it is when the hub's key
// is not the pinned one, unless the spoke has been connected before: then it goes on
// asking, since somebody in between could end it for good otherwise.
//
// # Closing
//
// Close and Shutdown close with 0x0, behind everything that was sent, for which the
// hub has one and a half seconds.
//
// # Limits
//
// Those of package link.
package quicspoke
