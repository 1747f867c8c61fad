package auth_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/eventtarget-go/toolkit/auth"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// A hub lets in who has a token that it knows.
func ExampleStatic() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	h, err := wsserver.New(&wsserver.Options{
		Authenticate: auth.Static(map[string]string{"correct horse": "ada", "battery staple": "grace"}),
		Options:      hub.Options{OnFault: func(eventtarget.Fault) {}}, // that the client leaves, at the end
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()

	for _, authorization := range []string{"Bearer correct horse", "Bearer guess"} {
		client, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), &wsclient.Options{
			Header: http.Header{"Authorization": {authorization}},
		})
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close()
		err = client.Ready(ctx)
		fmt.Println(authorization, "is forbidden:", errors.Is(err, eventtarget.ErrForbidden))
	}
	// Output:
	// Bearer correct horse is forbidden: false
	// Bearer guess is forbidden: true
}

// Signed tokens say who somebody is, and for how long.
func ExampleJWT() {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	authenticate, err := auth.JWT(auth.JWTOptions{
		Methods:  []string{"EdDSA"},
		Key:      func(*jwt.Token) (any, error) { return public, nil },
		Issuer:   "https://login.example",
		Audience: "chat",
	})
	if err != nil {
		log.Fatal(err)
	}
	// authenticate is what the Authenticate of a hub's options takes. Here it is asked at once.
	for _, audience := range []string{"chat", "shop"} {
		token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
			"iss": "https://login.example", "aud": audience, "sub": "ada", "exp": time.Now().Add(time.Hour).Unix(),
		}).SignedString(private)
		if err != nil {
			log.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/ws", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		grant, err := authenticate(r)
		fmt.Printf("for the %s: %q, %v\n", audience, grant.Identity, err)
	}
	// Output:
	// for the chat: "ada", <nil>
	// for the shop: "", auth: token has invalid claims: token has invalid audience
}

// A browser cannot set the header of a WebSocket's request, so that the token stands in
// the URL.
func ExampleFromQuery() {
	authenticate := auth.FromQuery("token", auth.Static(map[string]string{"secret": "ada"}))
	for _, url := range []string{"/ws?token=secret", "/ws?token=guess", "/ws"} {
		grant, err := authenticate(httptest.NewRequest(http.MethodGet, url, nil))
		fmt.Printf("%s: %q, %v\n", url, grant.Identity, err)
	}
	// Output:
	// /ws?token=secret: "ada", <nil>
	// /ws?token=guess: "", auth: unknown token
	// /ws: "", auth: no token
}
