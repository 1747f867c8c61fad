package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/identity"
)

const protocol = "test/1"

func newKey(t *testing.T) *identity.Key {
	t.Helper()
	key, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.make(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, time.Hour)
	return a
}

func (a *authority) make(template *x509.Certificate, valid time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(valid)
	parent, signer := a.cert, crypto.Signer(a.key)
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue returns a certificate for hub.test and 127.0.0.1.
func (a *authority) issue(valid time.Duration, usage ...x509.ExtKeyUsage) *tls.Certificate {
	cert, key := a.make(&x509.Certificate{
		DNSNames: []string{"hub.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: usage,
	}, valid)
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// shake lets two ends shake hands and returns what each says of it.
func shake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	deadline := time.Now().Add(10 * time.Second)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x")) // with the session tickets before it
		}
		done <- err
	}()
	c := tls.Client(b, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1))
	}
	b.Close()
	return c.ConnectionState(), <-done, clientErr
}

func configs(t *testing.T, server, client identity.Config) (s, c *tls.Config) {
	t.Helper()
	s, err := server.Server(protocol)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = client.Client(protocol); err != nil {
		t.Fatal(err)
	}
	return s, c
}

func TestHandshake(t *testing.T) {
	hub, spoke, other := newKey(t), newKey(t), newKey(t)
	ca, foreign := newAuthority(t), newAuthority(t)
	pins := func(keys ...*identity.Key) (pins []identity.Pin) {
		for _, k := range keys {
			pins = append(pins, k.Pin())
		}
		return pins
	}
	forSpoke := identity.Config{Key: hub, Pins: pins(spoke)}
	forHub := identity.Config{Key: spoke, Pins: pins(hub)}
	hubCA := identity.Config{Certificate: ca.issue(time.Hour, x509.ExtKeyUsageServerAuth), Authorities: ca.pool()}
	spokeCA := identity.Config{Certificate: ca.issue(time.Hour, x509.ExtKeyUsageClientAuth), Authorities: ca.pool(), ServerName: "hub.test"}
	named := func(c identity.Config, name string) identity.Config { c.ServerName = name; return c }
	with := func(c identity.Config, cert *tls.Certificate) identity.Config {
		c.Key, c.Certificate = nil, cert
		return c
	}
	const none = identity.Check(0)
	for name, c := range map[string]struct {
		server, client identity.Config
		refuses        identity.Check // of the server
		refused        identity.Check // by the client
	}{
		"pins":                     {forSpoke, forHub, none, none},
		"two pins":                 {forSpoke, identity.Config{Key: spoke, Pins: pins(other, hub)}, none, none},
		"a function":               {identity.Config{Key: hub, Allow: func(p identity.Pin) bool { return p == spoke.Pin() }}, forHub, none, none},
		"the spoke's key":          {forSpoke, identity.Config{Key: other, Pins: pins(hub)}, identity.CheckPin, none},
		"the function says no":     {identity.Config{Key: hub, Allow: func(identity.Pin) bool { return false }}, forHub, identity.CheckPin, none},
		"the hub's key":            {forSpoke, identity.Config{Key: spoke, Pins: pins(other)}, none, identity.CheckPin},
		"authorities":              {hubCA, spokeCA, none, none},
		"an address":               {hubCA, named(spokeCA, "127.0.0.1"), none, none},
		"another name":             {hubCA, named(spokeCA, "evil.test"), none, identity.CheckAuthority},
		"no name":                  {hubCA, named(spokeCA, ""), none, identity.CheckAuthority},
		"a foreign hub":            {with(hubCA, foreign.issue(time.Hour, x509.ExtKeyUsageServerAuth)), spokeCA, none, identity.CheckAuthority},
		"a foreign spoke":          {hubCA, with(spokeCA, foreign.issue(time.Hour, x509.ExtKeyUsageClientAuth)), identity.CheckAuthority, none},
		"a hub that is a spoke":    {with(hubCA, ca.issue(time.Hour, x509.ExtKeyUsageClientAuth)), spokeCA, none, identity.CheckAuthority},
		"a key without a CA":       {hubCA, identity.Config{Key: spoke, Authorities: ca.pool(), ServerName: "hub.test"}, identity.CheckAuthority, none},
		"an expired hub":           {with(hubCA, ca.issue(-time.Hour, x509.ExtKeyUsageServerAuth)), spokeCA, none, identity.CheckValidity},
		"an expired spoke":         {hubCA, with(spokeCA, ca.issue(-time.Hour, x509.ExtKeyUsageClientAuth)), identity.CheckValidity, none},
		"expired and allowed":      {identity.Config{Key: hub, Allow: func(identity.Pin) bool { return true }}, with(forHub, ca.issue(-time.Hour)), identity.CheckValidity, none},
		"insecure":                 {identity.Config{Key: hub, Insecure: true}, identity.Config{Key: other, Insecure: true}, none, none},
		"insecure at one end only": {forSpoke, identity.Config{Key: other, Insecure: true}, identity.CheckPin, none},
	} {
		server, client := configs(t, c.server, c.client)
		state, serverErr, clientErr := shake(t, server, client)
		want := func(end string, err error, check identity.Check) {
			if r := identity.Refusal(err, false); check != none && (r == nil || r.Check != check || r.Remote) {
				t.Errorf("%s: the %s says %v, want a refusal: %v", name, end, err, check)
			}
		}
		want("server", serverErr, c.refuses)
		want("client", clientErr, c.refused)
		if ok := c.refuses == none && c.refused == none; ok != (serverErr == nil && clientErr == nil) {
			t.Errorf("%s: server %v, client %v", name, serverErr, clientErr)
		}
		if pin, ok := identity.PeerPin(state); serverErr == nil && (!ok || pin != identity.PinOf(state.PeerCertificates[0])) {
			t.Errorf("%s: the server's pin is %v, %v", name, pin, ok)
		}
	}
}

func TestNoCertificate(t *testing.T) {
	hub, spoke := newKey(t), newKey(t)
	server, client := configs(t, identity.Config{Key: hub, Pins: []identity.Pin{spoke.Pin()}}, identity.Config{Key: spoke, Insecure: true})
	client.Certificates = nil
	if _, err, _ := shake(t, server, client); err == nil {
		t.Error("a client without a certificate was let in")
	}
	server, _ = configs(t, identity.Config{Key: hub, Insecure: true}, identity.Config{Key: spoke, Insecure: true})
	if _, err, _ := shake(t, server, client); err != nil {
		t.Errorf("an insecure server refused a client without a certificate: %v", err)
	}
	client.NextProtos, client.VerifyConnection = nil, nil
	_, err, _ := shake(t, server, client)
	if e := identity.Refusal(err, false); e == nil || e.Check != identity.CheckProtocol {
		t.Errorf("a client without a protocol: %v", err)
	}
}

// TestResumption: also a connection that resumes a session is checked, should
// tickets ever be on.
func TestResumption(t *testing.T) {
	hub, spoke := newKey(t), newKey(t)
	var allowed atomic.Bool
	allowed.Store(true)
	server, client := configs(t, identity.Config{Key: hub, Allow: func(identity.Pin) bool { return allowed.Load() }},
		identity.Config{Key: spoke, Pins: []identity.Pin{hub.Pin()}, ServerName: "hub.test"})
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		if state, a, b := shake(t, server, client); a != nil || b != nil || state.DidResume {
			t.Fatalf("resumed %v, %v, %v; tickets are off", state.DidResume, a, b)
		}
	}
	server.SessionTicketsDisabled, client.SessionTicketsDisabled = false, false
	for _, resumes := range []bool{false, true} {
		if state, a, b := shake(t, server, client); a != nil || b != nil || state.DidResume != resumes {
			t.Fatalf("resumed %v, %v, %v; want %v", state.DidResume, a, b, resumes)
		}
	}
	allowed.Store(false)
	_, err, _ := shake(t, server, client)
	if e := identity.Refusal(err, false); e == nil || e.Check != identity.CheckPin {
		t.Errorf("a resumed connection whose key is no longer allowed: %v", err)
	}
}

func TestConfigRefuses(t *testing.T) {
	key := newKey(t)
	pins := []identity.Pin{key.Pin()}
	for name, c := range map[string]identity.Config{
		"nobody":            {Key: key},
		"empty pins":        {Key: key, Pins: []identity.Pin{}},
		"no key":            {Pins: pins},
		"key and cert":      {Key: key, Certificate: new(key.Certificate()), Pins: pins},
		"empty certificate": {Certificate: &tls.Certificate{}, Pins: pins},
		"insecure and pins": {Key: key, Pins: pins, Insecure: true},
		"insecure and CAs":  {Key: key, Authorities: x509.NewCertPool(), Insecure: true},
		"insecure and func": {Key: key, Allow: func(identity.Pin) bool { return true }, Insecure: true},
	} {
		if _, err := c.Server(protocol); err == nil {
			t.Errorf("%s: Server has no error", name)
		}
		if _, err := c.Client(protocol); err == nil {
			t.Errorf("%s: Client has no error", name)
		}
	}
	if _, err := (identity.Config{Key: key, Insecure: true}).Server(""); err == nil {
		t.Error("no protocol: no error")
	}
}

func TestSecret(t *testing.T) {
	a, b := identity.Config{Key: newKey(t)}, identity.Config{Key: newKey(t)}
	one, err := a.Secret("x")
	again, _ := a.Secret("x")
	other, _ := a.Secret("y")
	foreign, _ := b.Secret("x")
	if err != nil || one != again || one == other || one == foreign || one == [32]byte{} {
		t.Errorf("secrets %x %x %x %x, %v", one, again, other, foreign, err)
	}
	if _, err := (identity.Config{Certificate: newAuthority(t).issue(time.Hour)}).Secret("x"); err != nil {
		t.Errorf("of a certificate: %v", err)
	}
	if _, err := (identity.Config{}).Secret("x"); err == nil {
		t.Error("without a key: no error")
	}
}

func TestRefusal(t *testing.T) {
	for check := identity.CheckCertificate; check <= identity.CheckProtocol; check++ {
		told, ok := errors.AsType[tls.AlertError](&identity.Error{Check: check})
		if got := identity.Refusal(told, true); !ok || got == nil || got.Check != check || !got.Remote {
			t.Errorf("%v is told by alert %v, which means %v", check, told, got)
		}
	}
	if got := identity.Refusal(tls.AlertError(42), false); got == nil || got.Check != identity.CheckCertificate || got.Remote {
		t.Errorf("bad_certificate means %v", got)
	}
	for _, err := range []error{nil, errors.New("x"), tls.AlertError(80)} {
		if got := identity.Refusal(err, true); got != nil {
			t.Errorf("%v means %v", err, got)
		}
	}
}
