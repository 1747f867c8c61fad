// Package identity says who the two ends of an encrypted connection are: each has
// an Ed25519 key in a file, and is known to the other by the pin of that key.
//
// # Usage
//
//	key, err := identity.Load("hub.key")        // made by `eventtarget keygen hub.key`
//	fmt.Println(key.Pin())                      // what the other end is given
//	c := identity.Config{Key: key, Pins: pins}  // who this end is, and whom it talks to
//
// A key needs no authority: the certificate that TLS wants is made from it in
// memory and says nothing that the key does not. Those who have a public key
// infrastructure give a Certificate and Authorities instead.
//
// # Checks
//
// TLS 1.3 only, both ends show a certificate, and sessions are never resumed. Each
// end checks the other before a byte of the application passes, in
// [tls.Config.VerifyConnection], which would run on a resumed connection too: that
// there is a certificate, that its time is not over, that its key is pinned or its
// authority known, and that both speak the same protocol. What a Config does not
// say cannot be had by accident: without pins, a function or authorities it is
// refused, unless it says Insecure.
//
// # Errors and faults
//
// An end that refuses the other has an [*Error] that names the check. The other
// end is told by the alert, and has an *Error with the same check and Remote set.
//
// # Rotation
//
// A peer's new key is pinned beside its old one everywhere, then the peer changes
// to it, then the old pin is taken away.
//
// # Limits
//
// A pin is all that tells one key from another: whoever reads the file is its
// owner, so Load refuses one that others can read. There is no revocation but to
// take a pin away; connections that stand are the application's to close.
package identity
