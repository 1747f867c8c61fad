package config

import (
	"crypto/tls"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/eventtarget-go/toolkit/identity"
)

// The kinds of listeners, each named after the key of the first of its kind.
const (
	KindHTTP    = "http"
	KindQUIC    = "quic"
	KindMetrics = "metrics"
)

// Listener is what listens at one address. Who may come, and what they may, is the same at
// each of a kind.
type Listener struct {
	Kind    string `key:"kind" required:"true" enum:"http,quic,metrics" doc:"What it is for: the same as http, as quic or as metrics."`
	Address string `key:"address" required:"true" doc:"Address to listen at, HOST:PORT."`
	TLSCert string `key:"tls-cert" live:"true" doc:"For http: file of the certificate chain, in PEM. It is read again on SIGHUP."`
	TLSKey  string `key:"tls-key" live:"true" doc:"For http: file of its private key, in PEM."`
	Live    bool   `key:"live" doc:"For http: serve the live page, which shows who is connected, to others than this machine too." default:"false"`
	KeyFile string `key:"key-file" doc:"For quic: file of the hub's private key there: see eventtarget keygen."`

	Certificate *tls.Certificate // nil: no TLS
	Key         *identity.Key    // of quic
}

// Listeners returns the listeners of a kind with the keys that they stand under: the one
// that has a key of its own, if there is one, before those of the list.
func (c *Config) Listeners(kind string) iter.Seq2[string, Listener] {
	return func(yield func(string, Listener) bool) {
		h, q := c.HTTP, c.QUIC
		first := map[string]Listener{
			KindHTTP:    {Kind: kind, Address: h.Address, TLSCert: h.TLSCert, TLSKey: h.TLSKey, Live: h.Live, Certificate: h.Certificate},
			KindQUIC:    {Kind: kind, Address: q.Address, KeyFile: q.KeyFile, Key: q.Key},
			KindMetrics: {Kind: kind, Address: c.Metrics},
		}[kind]
		if first.Address != "" && !yield(kind, first) {
			return
		}
		for i, l := range c.More {
			if l.Kind == kind && !yield(entry("listeners", i), l) {
				return
			}
		}
	}
}

// more checks the list of listeners, and reads the files that it names.
func (r *reader) more(c *Config) {
	for i := range c.More {
		l, key := &c.More[i], entry("listeners", i)
		switch {
		case l.Kind == "":
			r.bad(key, "the kind is missing; write kind: http, quic or metrics")
			continue
		case l.Address == "":
			r.bad(key, "the address is missing; write address: HOST:PORT")
			continue
		case l.Kind != KindHTTP && (l.TLSCert != "" || l.TLSKey != "" || l.Live):
			r.bad(key, "tls-cert, tls-key and live are for kind: http; write that, or leave them out")
			continue
		case l.Kind != KindQUIC && l.KeyFile != "":
			r.bad(join(key, "key-file"), "this is for kind: quic; write that, or leave it out")
			continue
		case l.Kind == KindQUIC && c.QUIC.Address == "":
			r.bad(key, "nobody may come over QUIC; write quic: with address, key-file and allow for the first of these")
			continue
		case l.Kind == KindQUIC && l.KeyFile == "":
			r.bad(key, "the key is missing; write key-file: FILE")
			continue
		}
		r.address(join(key, "address"), l.Address)
		r.alone(c, i)
		if l.Kind == KindHTTP {
			l.Certificate = r.certificate(key, l.TLSCert, l.TLSKey)
		}
		if l.Kind == KindQUIC {
			l.Key = r.key(join(key, "key-file"), l.KeyFile)
		}
	}
}

// alone wants an address that no other listener has: of QUIC, as that is UDP, or of the
// others.
func (r *reader) alone(c *Config, i int) {
	mine := c.More[i]
	for _, kind := range []string{KindHTTP, KindQUIC, KindMetrics} {
		for key, l := range c.Listeners(kind) {
			if key == entry("listeners", i) {
				break // what follows is told of the later one
			}
			if l.Address == mine.Address && (kind == KindQUIC) == (mine.Kind == KindQUIC) && !anyPort(l.Address) {
				r.bad(join(entry("listeners", i), "address"), fmt.Sprintf("%s listens there; write another address", key))
				return
			}
		}
	}
}

// anyPort tells whether the system chooses the port of an address: two such are never the same.
func anyPort(address string) bool { return strings.HasSuffix(address, ":0") }

// sameListeners tells whether a running hub has the listeners that it should; what it takes
// over is not compared.
func sameListeners(running, now []Listener) bool {
	return slices.EqualFunc(running, now, func(a, b Listener) bool {
		if (a.Certificate == nil) != (b.Certificate == nil) {
			return false
		}
		for _, l := range []*Listener{&a, &b} {
			l.TLSCert, l.TLSKey, l.Certificate = "", "", nil
		}
		return reflect.DeepEqual(a, b)
	})
}
