package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// Pin names a public key: the SHA-256 of its SubjectPublicKeyInfo (RFC 7469 §2.4),
// of any kind of key. Pins are comparable.
type Pin [sha256.Size]byte

// pinPrefix begins the text of a pin, so that it can be told from others to come,
// and never begins with a dash as an argument.
const pinPrefix = "sha256-"

// encoding refuses texts that differ and mean the same.
var encoding = base64.RawURLEncoding.Strict()

// ParsePin returns the pin that String wrote.
func ParsePin(text string) (Pin, error) {
	var p Pin
	digest, ok := strings.CutPrefix(text, pinPrefix)
	if b, err := encoding.DecodeString(digest); ok && err == nil && len(b) == len(p) && !strings.ContainsAny(digest, "\r\n") {
		return Pin(b), nil
	}
	return p, fmt.Errorf("identity: %q is no pin: want %s and 43 characters", text, pinPrefix)
}

// String returns the text of a pin: "sha256-" and 43 characters that may stand in
// a URL and a file name.
func (p Pin) String() string { return pinPrefix + encoding.EncodeToString(p[:]) }

// MarshalText returns String.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePin.
func (p *Pin) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePin(string(text))
	return err
}

// PinOf returns the pin of a certificate's key.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// PeerPin returns the pin of the peer, which has proved that it has the key. ok is
// false for a peer without a certificate.
func PeerPin(cs tls.ConnectionState) (p Pin, ok bool) {
	if len(cs.PeerCertificates) == 0 {
		return p, false
	}
	return PinOf(cs.PeerCertificates[0]), true
}
