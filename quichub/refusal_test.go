package quichub_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

func newAuthority(t *testing.T) authority {
	a := authority{t: t}
	c := a.issue(time.Hour)
	return authority{t, c.Leaf, c.PrivateKey.(ed25519.PrivateKey)}
}

// issue returns a certificate for either end at 127.0.0.1, or that of the authority.
func (a authority) issue(valid time.Duration) *tls.Certificate {
	a.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(valid),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, DNSNames: []string{"hub.test"},
	}
	parent, signer := a.cert, crypto.Signer(a.key)
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// door is a hub that refuses, and what it tells.
type door struct {
	*quichub.Hub
	faults  chan eventtarget.Fault
	joined  atomic.Int64
	noticed atomic.Int64 // events that came through
}

func newDoor(t *testing.T, who identity.Config) *door {
	t.Helper()
	d := &door{faults: make(chan eventtarget.Fault, 100)}
	d.Hub = newHub(t, quichub.Options{
		ListenerOptions: quichub.ListenerOptions{Identity: who},
		Options: hub.Options{
			OnFault:   func(f eventtarget.Fault) { d.faults <- f },
			OnConnect: func(*hub.Spoke) { d.joined.Add(1) },
		},
	})
	listenAll(t, d, &d.noticed)
	return d
}

func listenAll(t *testing.T, to eventtarget.Target, n *atomic.Int64) {
	t.Helper()
	if _, err := to.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[eventtarget.Raw]{
		Inline: true, Handle: func(context.Context, event) { n.Add(1) },
	}); err != nil {
		t.Fatal(err)
	}
}

// check looks for a refusal in err.
func check(t *testing.T, end string, err error, want identity.Check, remote bool) {
	t.Helper()
	if e, ok := errors.AsType[*identity.Error](err); !ok || e == nil || e.Check != want || e.Remote != remote {
		t.Errorf("the %s says %v, want a refusal: %v, remote %v", end, err, want, remote)
	}
}

// TestRefused: both ends say which check failed, and nothing passes.
func TestRefused(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	stranger, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	strangers := []identity.Pin{stranger.Pin()}
	under := func(pool authority, c *tls.Certificate) identity.Config {
		return identity.Config{Certificate: c, Authorities: pool.pool(), ServerName: "hub.test"}
	}
	valid, expired := under(ca, ca.issue(time.Hour)), under(ca, ca.issue(-time.Hour))
	anybody := func(identity.Pin) bool { return true }
	for name, c := range map[string]struct {
		hub, spoke identity.Config
		check      identity.Check
		byHub      bool
	}{
		"the spoke's key":           {forSpokes(), identity.Config{Key: stranger, Pins: forHub().Pins}, identity.CheckPin, true},
		"the hub's key":             {forSpokes(), identity.Config{Key: spokeKey(), Pins: strangers}, identity.CheckPin, false},
		"a spoke that is expired":   {valid, expired, identity.CheckValidity, true},
		"expired, its key allowed":  {identity.Config{Key: hubKey(), Allow: anybody}, identity.Config{Certificate: ca.issue(-time.Hour), Pins: forHub().Pins}, identity.CheckValidity, true},
		"a hub that is expired":     {expired, valid, identity.CheckValidity, false},
		"a foreign spoke":           {valid, under(ca, foreign.issue(time.Hour)), identity.CheckAuthority, true},
		"a foreign hub":             {under(ca, foreign.issue(time.Hour)), valid, identity.CheckAuthority, false},
		"a bare key for a CA":       {valid, identity.Config{Key: spokeKey(), Authorities: ca.pool(), ServerName: "hub.test"}, identity.CheckAuthority, true},
		"a hub of another name":     {valid, identity.Config{Certificate: valid.Certificate, Authorities: ca.pool(), ServerName: "evil.test"}, identity.CheckAuthority, false},
		"right CA, but wrong key":   {identity.Config{Certificate: valid.Certificate, Authorities: ca.pool(), Pins: strangers}, valid, identity.CheckPin, true},
		"insecure is for both ends": {forSpokes(), identity.Config{Key: stranger, Insecure: true}, identity.CheckPin, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, c.hub)
			var heard atomic.Int64
			s := newSpoke(t, d.Addr().String(), quicspoke.Options{Identity: c.spoke, Options: link.Options{
				OnFault: quiet, Setup: func(l *link.Link) { listenAll(t, l, &heard) }, // the spoke may be closed at once
			}})
			_ = s.Dispatch(t.Context(), event{Type: "early"}) // waits, unless the spoke is closed already
			check(t, "spoke", s.Ready(t.Context()), c.check, c.byHub)
			check(t, "hub", receive(t, d.faults).Err, c.check, !c.byHub)
			if err := d.Dispatch(t.Context(), event{Type: "late"}); err != nil {
				t.Fatal(err)
			}
			<-s.Done()
			if d.joined.Load()+d.noticed.Load()+heard.Load() > 0 {
				t.Errorf("%d joined, the hub heard %d events, the spoke %d", d.joined.Load(), d.noticed.Load(), heard.Load())
			}
		})
	}
}

// TestRefusedForeign: peers that are not ours: without a certificate, without a
// protocol, or with another.
func TestRefusedForeign(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*tls.Config)
		check  identity.Check
	}{
		"no certificate":   {func(c *tls.Config) { c.Certificates = nil }, identity.CheckCertificate},
		"another protocol": {func(c *tls.Config) { c.NextProtos = []string{"h3"} }, identity.CheckProtocol},
		"another version":  {func(c *tls.Config) { c.NextProtos = []string{"eventtarget/2"} }, identity.CheckProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, forSpokes())
			security, err := forHub().Client(quicconn.PlainProtocol)
			if err != nil {
				t.Fatal(err)
			}
			c.change(security)
			security.VerifyConnection = nil // so that the hub must refuse
			conn, err := quic.DialAddr(t.Context(), d.Addr().String(), security, nil)
			if err == nil { // with TLS 1.3 a client learns it later
				_, err = conn.AcceptStream(t.Context())
			}
			check(t, "peer", quicconn.Refusal(err), c.check, true)
			check(t, "hub", receive(t, d.faults).Err, c.check, false)
			if d.joined.Load() > 0 {
				t.Error("it joined")
			}
		})
	}
	t.Run("a hub of another protocol", func(t *testing.T) {
		security, err := forSpokes().Server("eventtarget/2")
		if err != nil {
			t.Fatal(err)
		}
		l, err := quic.ListenAddr("127.0.0.1:0", security, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := newSpoke(t, l.Addr().String(), quicspoke.Options{Options: link.Options{OnFault: quiet}})
		check(t, "spoke", s.Ready(t.Context()), identity.CheckProtocol, true)
	})
}

// TestNoResumption: a connection is never a resumed one, nor does it carry anything
// before the handshake, and a key that is no longer allowed is refused the next time.
func TestNoResumption(t *testing.T) {
	var allowed atomic.Bool
	allowed.Store(true)
	d := newDoor(t, identity.Config{Key: hubKey(), Allow: func(identity.Pin) bool { return allowed.Load() }})
	security, err := forHub().Client(quicconn.PlainProtocol)
	if err != nil {
		t.Fatal(err)
	}
	security.SessionTicketsDisabled, security.ClientSessionCache = false, tls.NewLRUClientSessionCache(1)
	security.ServerName = "hub.test"
	for range 2 {
		conn, err := quic.DialAddrEarly(t.Context(), d.Addr().String(), security, &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		stream, err := conn.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Write(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Read(make([]byte, 4)); err != nil { // the hub has answered: with what tickets it may have
			t.Fatal(err)
		}
		if state := conn.ConnectionState(); state.TLS.DidResume || state.Used0RTT {
			t.Errorf("resumed %v, 0-RTT %v", state.TLS.DidResume, state.Used0RTT)
		}
		conn.CloseWithError(0, "")
	}
	allowed.Store(false)
	conn, err := quic.DialAddrEarly(t.Context(), d.Addr().String(), security, nil)
	if err == nil {
		_, err = conn.AcceptStream(t.Context())
	}
	check(t, "peer", quicconn.Refusal(err), identity.CheckPin, true)
}
