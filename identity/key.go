package identity

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"runtime"
	"time"
)

// Key is a private Ed25519 key with the certificate made from it.
type Key struct {
	private     ed25519.PrivateKey
	certificate tls.Certificate
}

// New returns a new key that is in no file.
func New() (*Key, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("identity: new key: %w", err)
	}
	return newKey(private)
}

// pemType is the type of a PKCS #8 block (RFC 7468 §10), as openssl writes it.
const pemType = "PRIVATE KEY"

// Create makes a new key and writes it to a new file that only its owner can read
// (0600; on Windows the folder decides). The error is [fs.ErrExist] when there is
// a file already: a key is never written over.
func Create(path string) (*Key, error) {
	key, err := New()
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.private)
	if err != nil {
		return nil, fmt.Errorf("identity: create: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("identity: create: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: pemType, Bytes: der})
	if err == nil {
		err = f.Sync() // who is given the pin relies on the key
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
		return nil, fmt.Errorf("identity: create: %w", err)
	}
	return key, nil
}

// maxKeyFile is far more than a key needs.
const maxKeyFile = 16 << 10

// Load reads a key that Create or `openssl genpkey -algorithm ed25519` wrote. The
// error is [fs.ErrPermission] when its group or others can read the file, and says
// what else is wrong with it, never what stands in it.
func Load(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("identity: load: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("identity: load: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("identity: load: %s is no regular file", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("identity: load: %s has mode %#o, and a key is for its owner alone: chmod 600: %w",
			path, info.Mode().Perm(), fs.ErrPermission)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("identity: load: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType {
		return nil, fmt.Errorf("identity: load: %s holds no PEM block %q", path, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("identity: load: %s holds no Ed25519 key", path)
	}
	return newKey(private)
}

// newKey makes the certificate of a key. It is the same each time, and its time is
// never over: the key counts as long as it is pinned (RFC 5280 §4.1.2.5 has this
// date for it).
func newKey(private ed25519.PrivateKey) (*Key, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "eventtarget"},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(nil, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("identity: certificate of a key: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("identity: certificate of a key: %w", err)
	}
	return &Key{private: private, certificate: tls.Certificate{
		Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf,
	}}, nil
}

// Pin returns what the other end is given to know this key.
func (k *Key) Pin() Pin { return PinOf(k.certificate.Leaf) }

// String returns the pin: a key that is printed by mistake is no secret lost.
func (k Key) String() string { return k.Pin().String() }

// Format writes the pin, whatever the verb: %#v and %d print fields otherwise.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// Certificate returns the self-signed certificate of the key.
func (k *Key) Certificate() tls.Certificate { return k.certificate }
