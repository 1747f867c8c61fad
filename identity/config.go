package identity

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Config says who this end of a connection is and whom it talks to.
type Config struct {
	// Key is who this end is.
	Key *Key
	// Certificate is who this end is, in place of Key, where certificates come
	// from an authority.
	Certificate *tls.Certificate

	// Pins are the keys that this end talks to: of a hub's spokes, or of the hub,
	// which may have two while its key is being changed.
	Pins []Pin
	// Allow says whether this end talks to a key that is not among Pins. It is
	// called in each handshake, from any goroutine, and must be quick.
	Allow func(Pin) bool
	// Authorities are those whose certificates this end accepts, each that is
	// valid, for the right end and, at the end that connects, for ServerName. With
	// Pins or Allow beside it, both must be right.
	Authorities *x509.CertPool
	// ServerName is the name that a hub's certificate must be for. Default: the
	// host that is connected to. It counts with Authorities only.
	ServerName string

	// Insecure makes this end talk to anybody. It is an error beside Pins, Allow
	// or Authorities.
	Insecure bool
}

// Server returns the TLS configuration of the end that listens, for protocols with
// their versions, the one that is wanted most first (RFC 7301). The error says what
// the Config lacks.
func (c Config) Server(protocols ...string) (*tls.Config, error) {
	t, err := c.config(protocols, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return nil, err
	}
	t.ClientAuth = tls.RequireAnyClientCert
	if c.Insecure {
		t.ClientAuth = tls.RequestClientCert
	}
	return t, nil
}

// Client returns the TLS configuration of the end that connects. The error says
// what the Config lacks.
func (c Config) Client(protocols ...string) (*tls.Config, error) {
	t, err := c.config(protocols, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	t.ServerName = c.ServerName
	t.InsecureSkipVerify = true // VerifyConnection checks, and says what was wrong
	return t, nil
}

func (c Config) config(protocols []string, usage x509.ExtKeyUsage) (*tls.Config, error) {
	own, err := c.own()
	if err != nil {
		return nil, err
	}
	pinned := len(c.Pins) > 0 || c.Allow != nil
	switch {
	case len(protocols) == 0 || slices.Contains(protocols, ""):
		return nil, errors.New("identity: no protocol")
	case c.Insecure && (pinned || c.Authorities != nil):
		return nil, errors.New("identity: Insecure beside Pins, Allow or Authorities")
	case !c.Insecure && !pinned && c.Authorities == nil:
		return nil, errors.New("identity: whom to talk to is not said: set Pins, Allow or Authorities")
	}
	v := &verifier{
		protocols: protocols, pins: slices.Clone(c.Pins), allow: c.Allow, pinned: pinned,
		authorities: c.Authorities, usage: usage, name: c.ServerName, insecure: c.Insecure,
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             protocols,
		Certificates:           []tls.Certificate{own},
		SessionTicketsDisabled: true,
		VerifyConnection:       v.verify,
	}, nil
}

// own is the certificate of this end.
func (c Config) own() (tls.Certificate, error) {
	switch {
	case (c.Key == nil) == (c.Certificate == nil):
		return tls.Certificate{}, errors.New("identity: exactly one of Key and Certificate is required")
	case c.Key != nil:
		return c.Key.certificate, nil
	case len(c.Certificate.Certificate) == 0 || c.Certificate.PrivateKey == nil:
		return tls.Certificate{}, errors.New("identity: the Certificate is empty")
	}
	return *c.Certificate, nil
}

// Secret returns 32 bytes for the purpose that label names, made from the private
// key: the same each time for the same key, and of no use to learn the key. The
// error is that the key cannot be read, as in a hardware module.
func (c Config) Secret(label string) (secret [32]byte, err error) {
	own, err := c.own()
	if err != nil {
		return secret, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		return secret, fmt.Errorf("identity: secret: %w", err)
	}
	b, err := hkdf.Key(sha256.New, der, nil, "eventtarget "+label, len(secret))
	if err != nil {
		return secret, fmt.Errorf("identity: secret: %w", err)
	}
	copy(secret[:], b)
	return secret, nil
}

// verifier is what one end asks of the other.
type verifier struct {
	protocols   []string
	pins        []Pin
	allow       func(Pin) bool
	pinned      bool
	authorities *x509.CertPool
	usage       x509.ExtKeyUsage
	name        string
	insecure    bool
}

// verify is a [tls.Config.VerifyConnection]. TLS has made sure that the peer has
// the key of its certificate.
func (v *verifier) verify(cs tls.ConnectionState) error {
	if !slices.Contains(v.protocols, cs.NegotiatedProtocol) {
		return &Error{Check: CheckProtocol, Err: fmt.Errorf("the peer speaks %q, none of %q", cs.NegotiatedProtocol, v.protocols)}
	}
	if v.insecure {
		return nil
	}
	if len(cs.PeerCertificates) == 0 {
		return &Error{Check: CheckCertificate, Err: errors.New("the peer has none")}
	}
	leaf := cs.PeerCertificates[0]
	if now := time.Now(); now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return &Error{Check: CheckValidity, Err: fmt.Errorf("from %s to %s",
			leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339))}
	}
	if pin := PinOf(leaf); v.pinned && !slices.Contains(v.pins, pin) && (v.allow == nil || !v.allow(pin)) {
		return &Error{Check: CheckPin, Err: fmt.Errorf("the peer's key is %s", pin)}
	}
	if v.authorities == nil {
		return nil
	}
	options := x509.VerifyOptions{
		Roots: v.authorities, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{v.usage},
	}
	for _, c := range cs.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if v.usage == x509.ExtKeyUsageServerAuth {
		if options.DNSName = cs.ServerName; v.name != "" {
			options.DNSName = v.name
		}
		if options.DNSName == "" { // which Verify would take for any name
			return &Error{Check: CheckAuthority, Err: errors.New("the name of the peer is not known")}
		}
	}
	if _, err := leaf.Verify(options); err != nil {
		return &Error{Check: CheckAuthority, Err: err}
	}
	return nil
}
