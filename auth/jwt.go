package auth

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/option"
)

// JWTOptions says which signed tokens are good.
type JWTOptions struct {
	// Methods are the algorithms that are accepted, by their names in RFC 7518
	// §3.1 ("EdDSA", "RS256", …). Required: a token does not choose its own.
	Methods []string
	// Key returns the key that a token must be signed with: an ed25519.PublicKey,
	// *rsa.PublicKey, *ecdsa.PublicKey, or []byte for HMAC. Required.
	Key func(t *jwt.Token) (any, error)
	// Issuer and Audience must be those of the token, unless empty.
	Issuer, Audience string
	// Leeway is how far clocks may differ. Default 0.
	Leeway time.Duration
}

type claimsKey struct{}

// JWT knows signed tokens (RFC 7519). The identity is the subject, which a token must
// have, as an expiry: the connection is ended then, and who comes back with a new token of
// the same subject goes on with the session, as [hub.Meta] says. [Claims] returns the rest. The
// error says what is wrong with the options.
func JWT(o JWTOptions) (Authenticator, error) {
	if len(o.Methods) == 0 || o.Key == nil {
		return nil, errors.New("auth: JWT needs Methods and Key")
	}
	if err := option.NotNegative("Leeway", o.Leeway); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	for _, name := range o.Methods {
		if jwt.GetSigningMethod(name) == nil { // no token could ever be good for it
			return nil, fmt.Errorf("auth: JWT knows no method %q", name)
		}
	}
	opts := []jwt.ParserOption{jwt.WithValidMethods(o.Methods), jwt.WithExpirationRequired(), jwt.WithLeeway(o.Leeway)}
	if o.Issuer != "" {
		opts = append(opts, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		opts = append(opts, jwt.WithAudience(o.Audience))
	}
	parser := jwt.NewParser(opts...)
	return func(r *http.Request) (hub.Grant, error) {
		text := bearer(r)
		if text == "" {
			return hub.Grant{}, errNoToken
		}
		claims := jwt.MapClaims{}
		if _, err := parser.ParseWithClaims(text, claims, o.Key); err != nil {
			return hub.Grant{}, fmt.Errorf("auth: %w", err)
		}
		subject, err := claims.GetSubject()
		if err != nil || subject == "" {
			return hub.Grant{}, errors.New("auth: token without a subject")
		}
		expires, err := claims.GetExpirationTime()
		if err != nil {
			return hub.Grant{}, fmt.Errorf("auth: %w", err)
		}
		return hub.Grant{Identity: subject, Expires: expires.Add(o.Leeway), Values: map[any]any{claimsKey{}: claims}}, nil
	}, nil
}

// Claims returns the claims of the token that a spoke came with, or nil.
func Claims(s *hub.Spoke) jwt.MapClaims {
	claims, _ := s.Value(claimsKey{}).(jwt.MapClaims)
	return claims
}
