package main_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// TestSigned: signed tokens let in those whom they name, until the key is another.
func TestSigned(t *testing.T) {
	dir := t.TempDir()
	sign := func() func(subject string) string {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, "jwt.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
		return func(subject string) string {
			text, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
				"sub": subject, "aud": "hub", "exp": time.Now().Add(time.Hour).Unix(),
			}).SignedString(private)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
	}
	first := sign()
	text := "jwt:\n  methods: [EdDSA]\n  key-file: DIR/jwt.pem\n  audience: hub\ntopics:\n  - topic: \"a:*\"\n    subscribe: [\"svc-*\"]\n    dispatch: [\"svc-*\"]\n"
	hub := runHub(t, dir, text)
	stays, faults := come(t, hub.urls[0], first("svc-1"))
	heard := hear(t, stays, eventtarget.T("a", "*"))
	for who, want := range map[string]int{"svc-2": http.StatusAccepted, "ann": http.StatusForbidden} {
		if got := post(t, beside(hub.urls[0], "/dispatch"), first(who), `{"type":"a","id":"`+who+`"}`); got != want {
			t.Errorf("%s posts: %d, want %d", who, got, want)
		}
	}
	second := sign()
	hub.reload(text, 1)
	if status := knock(t, hub.urls[0], first("svc-1")); status != http.StatusUnauthorized {
		t.Errorf("with the key of before: %d", status)
	}
	if got := post(t, beside(hub.urls[0], "/dispatch"), second("svc-3"), `{"type":"a","id":"svc-3"}`); got != http.StatusAccepted {
		t.Errorf("with the new key: %d", got)
	}
	for _, want := range []string{"svc-2", "svc-3"} {
		if e := next(t, heard); e.ID != want {
			t.Errorf("heard %v, want %s", e, want)
		}
	}
	if len(faults) > 0 {
		t.Errorf("who was there is told %v", <-faults)
	}
}

// TestPins: a reload lets a new key in, and ends who came with one that is withdrawn.
func TestPins(t *testing.T) {
	dir := t.TempDir()
	if _, err := identity.Create(filepath.Join(dir, "hub.key")); err != nil {
		t.Fatal(err)
	}
	keys := map[string]*identity.Key{}
	for _, name := range []string{"old", "new"} {
		key, err := identity.New()
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key
	}
	text := func(names ...string) string {
		var pins []string
		for _, name := range names {
			pins = append(pins, keys[name].Pin().String())
		}
		return "relay: true\nquic:\n  address: 127.0.0.1:0\n  key-file: DIR/hub.key\n  allow: [" + strings.Join(pins, ", ") + "]\n"
	}
	hub := runHub(t, dir, text("old"))
	address, pinText, _ := strings.Cut(strings.TrimPrefix(hub.urls[1], "quic://"), "?pin=")
	pin, err := identity.ParsePin(pinText)
	if err != nil {
		t.Fatal(err)
	}
	spoke := func(name string) (*quicspoke.Spoke, <-chan eventtarget.Fault) {
		faults := make(chan eventtarget.Fault, 100)
		s, err := quicspoke.New(address, &quicspoke.Options{
			Identity: identity.Config{Key: keys[name], Pins: []identity.Pin{pin}},
			Options:  link.Options{OnFault: func(f eventtarget.Fault) { faults <- f }},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close(); <-s.Done() })
		return s, faults
	}
	old, faults := spoke("old")
	if err := old.Ready(deadline(t)); err != nil {
		t.Fatal(err)
	}
	early, _ := spoke("new")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := early.Ready(ctx); err == nil {
		t.Error("a key that is not allowed is let in")
	}
	hub.reload(text("old", "new"), 1)
	fresh, _ := spoke("new")
	if err := fresh.Ready(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if len(faults) > 0 {
		t.Errorf("who may stay is told %v", <-faults)
	}
	hub.reload(text("new"), 2)
	select {
	case f := <-faults:
		if f.Kind != eventtarget.FaultDisconnected {
			t.Errorf("told %v", f)
		}
	case <-time.After(30 * time.Second):
		t.Error("who is withdrawn stays")
	}
	if state := fresh.State(); state != eventtarget.StateUp {
		t.Errorf("the other one is %v", state)
	}
}
