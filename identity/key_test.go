package identity_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/identity"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := identity.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	loaded, err := identity.Load(path)
	if err != nil || loaded.Pin() != made.Pin() {
		t.Fatalf("loaded %v, %v; made %v", loaded, err, made)
	}
	if string(loaded.Certificate().Certificate[0]) != string(made.Certificate().Certificate[0]) {
		t.Error("one key has two certificates")
	}
	before, _ := os.ReadFile(path)
	if _, err := identity.Create(path); !errors.Is(err, fs.ErrExist) || !strings.HasPrefix(err.Error(), "identity: create: ") {
		t.Errorf("Create over a key: %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("Create has written over a key")
	}
	other, err := identity.New()
	if err != nil || other.Pin() == made.Pin() {
		t.Errorf("another key has pin %v, %v", other, err)
	}
}

// TestPrinted: whatever prints a key, in whatever way, prints its pin.
func TestPrinted(t *testing.T) {
	key, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		for _, v := range []any{key, *key} {
			if text := fmt.Sprintf(verb, v); text != key.Pin().String() {
				t.Errorf("%s of a %T has %d bytes, which are not the pin", verb, v, len(text))
			}
		}
		if text := fmt.Sprintf(verb, identity.Config{Key: key}); !strings.Contains(text, key.Pin().String()) {
			t.Errorf("%s of a Config does not have the pin", verb)
		}
	}
	if text := fmt.Sprint(identity.Config{}); text == "" || strings.Contains(text, "PANIC") {
		t.Errorf("a Config without a key is printed as %s", text)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := identity.Create(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	rsa := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("hush")}))
	for name, path := range map[string]string{
		"empty": write("empty", "", 0o600), "text": write("text", "hush", 0o600), "rsa": write("rsa", rsa, 0o600),
		"cut": write("cut", string(good[:len(good)/2]), 0o600), "none": filepath.Join(dir, "none"), "folder": dir,
	} {
		key, err := identity.Load(path)
		if err == nil {
			t.Errorf("%s: loaded %v", name, key)
		} else if strings.Contains(err.Error(), "hush") || !strings.HasPrefix(err.Error(), "identity: load: ") {
			t.Errorf("%s: the error tells a secret, or not what was done: %v", name, err)
		}
	}
	if runtime.GOOS == "windows" {
		return // where a mode says nothing
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o644, 0o601} {
		if _, err := identity.Load(write("shared", string(good), mode)); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a key with mode %#o: %v", mode, err)
		}
	}
	if _, err := identity.Load(write("read-only", string(good), 0o400)); err != nil {
		t.Errorf("a key with mode 0400: %v", err)
	}
}

func TestPinText(t *testing.T) {
	key, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	pin := key.Pin()
	text := pin.String()
	if got, err := identity.ParsePin(text); err != nil || got != pin {
		t.Errorf("%s was parsed as %v, %v", text, got, err)
	}
	b, err := pin.MarshalText()
	var back identity.Pin
	if err != nil || back.UnmarshalText(b) != nil || back != pin {
		t.Errorf("%s, %v became %v", b, err, back)
	}
	for _, bad := range []string{
		"", text[7:], text[:len(text)-1], text + "A", "sha512-" + text[7:], strings.ToUpper(text), text[:20] + "\n" + text[20:],
		"sha256-" + strings.Repeat("A", 42) + "B", // another text for the pin of zeros
	} {
		if p, err := identity.ParsePin(bad); err == nil {
			t.Errorf("%q was parsed as %v", bad, p)
		}
	}
	public := key.Certificate().Leaf.PublicKey
	if _, ok := public.(ed25519.PublicKey); !ok {
		t.Errorf("the key is a %T", public)
	}
	if identity.PinOf(&x509.Certificate{}) == pin {
		t.Error("a certificate without a key has its pin")
	}
}
