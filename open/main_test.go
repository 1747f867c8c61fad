package open_test

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// trusted is a folder with the certificate of every TLS server of these tests, which is that
// of httptest, and its key. The system trusts it: a URL cannot say whom to trust.
var trusted string

func TestMain(m *testing.M) {
	os.Exit(trusting(m))
}

func trusting(m *testing.M) int {
	server := httptest.NewTLSServer(nil)
	pair := server.TLS.Certificates[0]
	server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		panic(err)
	}
	if trusted, err = os.MkdirTemp("", "open"); err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(trusted) }()
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(trusted, name), pem.EncodeToMemory(block), 0o600); err != nil {
			panic(err)
		}
	}
	if err := os.Setenv("SSL_CERT_FILE", filepath.Join(trusted, "cert.pem")); err != nil {
		panic(err)
	}
	return m.Run()
}

// secureRedis returns the URL of a server of Redis with TLS.
func secureRedis(t *testing.T) string {
	t.Helper()
	address := redistest.FreeAddr(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cert := filepath.Join(trusted, "cert.pem")
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", filepath.Join(trusted, "key.pem"),
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	return "rediss://" + address
}
