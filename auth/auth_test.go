package auth_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/eventtarget-go/toolkit/auth"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

func request(authorization string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func TestStatic(t *testing.T) {
	a := auth.Static(map[string]string{"secret-1": "ann", "secret-2": "bob"})
	for authorization, want := range map[string]string{
		"Bearer secret-1": "ann", "bearer secret-2": "bob", "Bearer  secret-2 ": "bob",
		"": "", "Bearer": "", "Bearer ": "", "Bearer secret": "", "Bearer secret-11": "", "Basic secret-1": "", "secret-1": "",
	} {
		g, err := a(request(authorization))
		if g.Identity != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", authorization, g.Identity, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats the token: %v", authorization, err)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/?t=secret-1", nil)
	if _, err := a(r); err == nil {
		t.Error("a token in the URL was taken unasked")
	}
	if g, err := auth.FromQuery("t", a)(r); err != nil || g.Identity != "ann" {
		t.Error(g, err)
	}
}

var public, private, _ = ed25519.GenerateKey(nil)

func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestJWT(t *testing.T) {
	a, err := auth.JWT(auth.JWTOptions{
		Methods: []string{"EdDSA"}, Issuer: "us", Audience: "hub",
		Key: func(*jwt.Token) (any, error) { return public, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	in, past := time.Now().Add(time.Hour).Unix(), time.Now().Add(-time.Hour).Unix()
	_, stranger, _ := ed25519.GenerateKey(nil)
	for name, c := range map[string]struct {
		token string
		good  bool
	}{
		"good":             {sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "hub", "exp": in}), true},
		"expired":          {sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "hub", "exp": past}), false},
		"not yet":          {sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "hub", "exp": in, "nbf": in}), false},
		"without expiry":   {sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "hub"}), false},
		"without subject":  {sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"iss": "us", "aud": "hub", "exp": in}), false},
		"other issuer":     {sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"sub": "ann", "iss": "them", "aud": "hub", "exp": in}), false},
		"other audience":   {sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "shop", "exp": in}), false},
		"other key":        {sign(t, jwt.SigningMethodEdDSA, stranger, jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "hub", "exp": in}), false},
		"unsigned":         {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "hub", "exp": in}), false},
		"public as secret": {sign(t, jwt.SigningMethodHS256, []byte(public), jwt.MapClaims{"sub": "ann", "iss": "us", "aud": "hub", "exp": in}), false},
		"no token":         {"", false},
	} {
		g, err := a(request("Bearer " + c.token))
		if (err == nil) != c.good || c.good && (g.Identity != "ann" || g.Expires.Unix() != in) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	if _, err := auth.JWT(auth.JWTOptions{}); err == nil {
		t.Error("no methods and no key: accepted")
	}
	_, err = auth.JWT(auth.JWTOptions{Methods: []string{"EdDSA"}, Key: func(*jwt.Token) (any, error) { return public, nil }, Leeway: -time.Second})
	if err == nil || !strings.Contains(err.Error(), "Leeway is negative (-1s)") {
		t.Errorf("a negative Leeway: %v", err)
	}
}

// TestJWTOptions: what no token could be good for is an error at once.
func TestJWTOptions(t *testing.T) {
	key := func(*jwt.Token) (any, error) { return []byte("secret"), nil }
	for name, o := range map[string]auth.JWTOptions{
		"no methods": {Key: key}, "no key": {Methods: []string{"HS256"}}, "a method that is none": {Methods: []string{"HS256", "eddsa"}, Key: key},
	} {
		if a, err := auth.JWT(o); err == nil || a != nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := auth.JWT(auth.JWTOptions{Methods: []string{"EdDSA", "RS256", "ES512", "PS384", "HS256"}, Key: key}); err != nil {
		t.Error(err)
	}
}

// TestRenewal: who has a token that expires comes back with the next one by itself; with a
// session it is the same spoke.
func TestRenewal(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testRenewal(t, true) })
	t.Run("session", func(t *testing.T) { testRenewal(t, false) })
}

func testRenewal(t *testing.T, plain bool) {
	a, err := auth.JWT(auth.JWTOptions{Methods: []string{"EdDSA"}, Key: func(*jwt.Token) (any, error) { return public, nil }})
	if err != nil {
		t.Fatal(err)
	}
	connected := make(chan string, 9)
	reasons := make(chan eventtarget.Reason, 9)
	resumed := make(chan struct{}, 9)
	h, err := wsserver.New(&wsserver.Options{Authenticate: a, Options: hub.Options{
		OnConnect:    func(s *hub.Spoke) { connected <- s.Identity() + " " + auth.Claims(s)["room"].(string) },
		OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { reasons <- r },
		OnFault:      func(eventtarget.Fault) {},
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	var tokens atomic.Int32
	c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), &wsclient.Options{
		Token: func(context.Context) (string, error) {
			switch tokens.Add(1) {
			case 1: // expires soon
				return sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"sub": "ann", "room": "a", "exp": time.Now().Add(2 * time.Second).Unix()}), nil
			case 2:
				return "", errors.New("no token right now")
			case 3:
				return "nonsense", nil
			default:
				return sign(t, jwt.SigningMethodEdDSA, private, jwt.MapClaims{"sub": "ann", "room": "b", "exp": time.Now().Add(time.Hour).Unix()}), nil
			}
		},
		Plain: plain,
		Options: link.Options{Backoff: link.Backoff{Max: 10 * time.Millisecond}, OnFault: func(eventtarget.Fault) {}, OnState: func(c link.Change) {
			if c.State == eventtarget.StateUp && c.Resumed {
				resumed <- struct{}{}
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if who := <-connected; who != "ann a" {
		t.Error(who)
	}
	if !plain {
		<-resumed
		for s := range h.Spokes() {
			if room := auth.Claims(s)["room"]; room != "b" || h.Len() != 1 || len(reasons)+len(connected) > 0 {
				t.Errorf("%d spokes, of which one has room %v", h.Len(), room)
			}
		}
		return
	}
	if r := <-reasons; r.Code != eventtarget.CodeExpired {
		t.Error(r)
	}
	if who := <-connected; who != "ann b" {
		t.Error(who)
	}
}
