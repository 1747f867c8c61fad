package config

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/identity"
)

// secret stands in all secrets of the tests, and nowhere else: no message may have it.
const secret = "hunter2hunter2hunter2hunter2hunter2"

// environ are the variables of the tests.
func environ() []string {
	return []string{"BILLING_TOKEN=billing-" + secret, "BACKPLANE=rediss://hub:" + secret + "@redis.example.com:6379", "OTHER_HUB=quic://127.0.0.1:1?pin=" + secret, "EMPTY=", "PATH=/bin"}
}

// files makes a directory with all that a configuration may name.
func files(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("ann.token", "ann-"+secret+"\n")
	put("same.token", "ann-"+secret)
	put("two.token", "one-"+secret+"\ntwo-"+secret)
	put("short.token", "hunter2")
	put("empty", "\n")
	put("bridge.url", "ws://user:"+secret+"@127.0.0.1:1/ws")
	put("worker.url", "worker:///bin/true?arg="+secret)
	put("hmac.key", secret+secret)
	if _, err := identity.Create(filepath.Join(dir, "hub.key")); err != nil {
		t.Fatal(err)
	}
	put("worker", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(dir, "worker"), 0o700); err != nil {
		t.Fatal(err)
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	put("jwt.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	for name, until := range map[string]time.Time{"hub": time.Now().Add(time.Hour), "old": time.Now().Add(-time.Hour)} {
		cert, key := certificate(t, until)
		put(name+".crt", cert)
		put(name+"-tls.key", key)
	}
	return dir
}

func certificate(t *testing.T, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// write writes a configuration to hub.yaml, with dir for DIR.
func write(t *testing.T, dir, text string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "hub.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "DIR", filepath.ToSlash(dir))), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// full is the configuration with every key.
func full(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
