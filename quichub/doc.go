// Package quichub is a hub for QUIC whose spokes are known by their keys.
//
// # Usage
//
//	h, err := quichub.Listen("127.0.0.1:8443", &quichub.Options{
//		Options:         hub.Options{Relay: true},
//		ListenerOptions: quichub.ListenerOptions{Identity: identity.Config{Key: key, Pins: pins}},
//	})
//
// [Serve] adds QUIC to a hub that has spokes over another transport.
//
// Both ends prove who they are before anything passes; see package identity.
// [hub.Spoke.Identity] is the pin of the spoke's key: the same after a reconnect,
// and from another address.
//
// A peer in another language speaks TLS 1.3 with the protocol "eventtarget/1",
// opens one stream in both directions and writes envelopes, each behind its length
// in four bytes, the most significant first. A length of zero is padding. The hub
// writes the first four bytes, zeros, when it has accepted the peer.
//
// # Delivery
//
// As package hub: an event is framed once for all spokes and handed to each stream
// without waiting. A spoke begins in the log where the hub answered it, so what is
// dispatched once the peer knows that it is connected reaches it.
//
// # Ordering
//
// As package hub: everything for a spoke stands in one stream.
//
// # Slow spokes
//
// A stream that is full never holds up another. A spoke that takes nothing for
// WriteTimeout, or falls off the log, is closed with 0x9. QUIC keeps what a spoke has
// not confirmed: at most its congestion window and 128 KiB before the hub waits for
// it on a goroutine of its own.
//
// # Errors and faults
//
// A peer that is refused, and one that refuses the hub, is a fault of kind
// [eventtarget.FaultDisconnected] with an [identity.Error]. A message that is no
// envelope closes its connection with the application error code 0x4, one over the
// limit with 0x6.
//
// # Closing
//
// Close and Shutdown close the spokes with 0x1. Closing ends the stream, waits until
// the peer has read everything, at most one and a half seconds, and only then closes
// the connection with its code. A hub that was killed and is started again with the
// same key at the same port tells its former spokes as soon as they send something.
//
// # Limits
//
// Those of package hub. One stream, no datagrams, no 0-RTT. A peer may have 512 KiB
// under way to the hub. When as many peers as RetryAbove are in their handshake, each
// further one must show first that its address is its own. ConnsPerPrefix bounds how
// many connections come from one network.
package quichub
