package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/eventtarget-go/toolkit/auth"
	"github.com/eventtarget-go/toolkit/identity"
)

// exactlyOne wants one of some keys, given as names and values by turns.
func (r *reader) exactlyOne(key string, pairs ...string) bool {
	var names, given []string
	for i := 0; i < len(pairs); i += 2 {
		names = append(names, pairs[i])
		if pairs[i+1] != "" {
			given = append(given, pairs[i])
		}
	}
	switch len(given) {
	case 0:
		r.bad(key, "something is missing; write "+oneOf(strings.Join(names, ",")))
	case 1:
		return true
	default:
		r.bad(join(key, given[1]), strings.Join(given, " and ")+" stand together; write one of them")
	}
	return false
}

// secret reads what stands in a file or in a variable, of which one is given. Neither
// their names nor what is in them is ever told: what was meant as the one may be the other.
func (r *reader) secret(key, fileKey, file, envKey, env string) (value, at string, ok bool) {
	if at = join(key, fileKey); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			r.bad(at, unreadable(err)+"; write the path of a file")
			return "", at, false
		}
		value = string(bytes.TrimSpace(text))
	} else {
		at = join(key, envKey)
		i := slices.IndexFunc(r.environ, func(v string) bool { return strings.HasPrefix(v, env+"=") })
		if i < 0 {
			r.bad(at, "the environment has no such variable; write the name of one that is set")
			return "", at, false
		}
		value = strings.TrimSpace(r.environ[i][len(env)+1:])
	}
	if value == "" {
		r.bad(at, "there is nothing in it; write what belongs there into it")
	}
	return value, at, value != ""
}

// shortToken is what can be guessed.
const shortToken = 16

func (r *reader) tokens(c *Config) {
	for i := range c.Tokens {
		t, key := &c.Tokens[i], entry("tokens", i)
		if t.Identity == "" {
			r.bad(key, "the identity is missing; write identity: and whose token it is")
		}
		if !r.exactlyOne(key, "token-file", t.File, "token-env", t.Env) {
			continue
		}
		var at string
		var ok bool
		if t.Secret, at, ok = r.secret(key, "token-file", t.File, "token-env", t.Env); !ok {
			continue
		}
		switch first := slices.IndexFunc(c.Tokens, func(o Token) bool { return o.Secret == t.Secret }); {
		case strings.ContainsAny(t.Secret, " \t\r\n"):
			r.bad(at, "there is more than a token in it; write one token into it and nothing else")
		case len(t.Secret) < shortToken:
			r.bad(at, fmt.Sprintf("a token of less than %d characters can be guessed; write one of openssl rand -hex 32 into it", shortToken))
		case first < i:
			r.bad(at, fmt.Sprintf("it is the same token as that of tokens[%d]; write a token of its own into it", first))
		}
	}
	if len(c.Tokens) > 0 || len(c.JWT.Methods) > 0 || c.JWT.KeyFile != "" {
		return
	}
	if c.TokenParameter != "" {
		r.bad("token-parameter", "there are no tokens; write tokens: or jwt: too, or leave this out")
	}
	if c.Anonymous {
		r.bad("anonymous", "there are no tokens, so that everyone is let in; write tokens: or jwt: too, or leave this out")
	}
}

var hmacMethods = []string{"HS256", "HS384", "HS512"}

// methods are the algorithms of each kind of key.
var methods = []string{
	"EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "HS256", "HS384", "HS512",
}

// signed makes the authenticator of signed tokens.
func (r *reader) signed(j *JWT) {
	if len(j.Methods) == 0 && j.KeyFile == "" {
		if j.Issuer != "" || j.Audience != "" || j.Leeway != 0 {
			r.bad("jwt", "methods and key-file are missing; write both")
		}
		return
	}
	if len(j.Methods) == 0 || j.KeyFile == "" {
		r.bad("jwt", "methods and key-file go together; write both")
		return
	}
	hmac := slices.Contains(hmacMethods, j.Methods[0])
	for i, m := range j.Methods {
		at := entry("jwt.methods", i)
		if !slices.Contains(methods, m) {
			r.bad(at, "this is no algorithm; write some of "+strings.Join(methods, ", "))
			return
		}
		if hmac != slices.Contains(hmacMethods, m) {
			r.bad(at, "HS methods and others have different keys; write only the ones or the others")
			return
		}
	}
	text, err := os.ReadFile(j.KeyFile)
	if err != nil {
		r.bad("jwt.key-file", unreadable(err)+"; write the path of a file")
		return
	}
	key, err := verifier(hmac, text)
	if err == nil {
		err = fits(j.Methods, key)
	}
	if err != nil {
		r.bad("jwt.key-file", err.Error())
		return
	}
	j.Authenticate, err = auth.JWT(auth.JWTOptions{
		Methods: j.Methods, Issuer: j.Issuer, Audience: j.Audience, Leeway: time.Duration(j.Leeway),
		Key: func(*jwt.Token) (any, error) { return key, nil },
	})
	if err != nil {
		r.bad("jwt", err.Error())
	}
}

func verifier(hmac bool, text []byte) (key any, err error) {
	if hmac {
		if text = bytes.TrimSpace(text); len(text) < 32 {
			return nil, errors.New("a secret of less than 32 bytes can be guessed; write one of openssl rand -hex 32 into it")
		}
		return text, nil
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, errors.New("there is no public key in it; write what openssl pkey -pubout prints into it")
	}
	if key, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		return nil, errors.New("the public key in it cannot be read; write what openssl pkey -pubout prints into it")
	}
	return key, nil
}

// fits tells whether a key can be that of all methods.
func fits(methods []string, key any) error {
	var family []string
	switch key := key.(type) {
	case ed25519.PublicKey:
		family = []string{"EdDSA"}
	case *ecdsa.PublicKey:
		family = []string{map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[key.Params().BitSize]}
	case *rsa.PublicKey:
		family = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	default:
		family = hmacMethods
	}
	for _, m := range methods {
		if !slices.Contains(family, m) {
			return fmt.Errorf("the key in it is not one for %s; write methods of %s, or another key", m, strings.Join(family, ", "))
		}
	}
	return nil
}

// certificate reads the certificate of a listener and its key; nil: there is none.
func (r *reader) certificate(listener, certFile, keyFile string) *tls.Certificate {
	switch {
	case certFile == "" && keyFile == "":
		return nil
	case certFile == "" || keyFile == "":
		r.bad(listener, "tls-cert and tls-key go together; write both")
		return nil
	}
	at := join(listener, "tls-cert")
	for _, f := range []struct{ key, path string }{{at, certFile}, {join(listener, "tls-key"), keyFile}} {
		if _, err := os.ReadFile(f.path); err != nil {
			r.bad(f.key, unreadable(err)+"; write the path of a file in PEM")
			return nil
		}
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		r.bad(at, strings.TrimPrefix(err.Error(), "tls: ")+"; write a certificate and the key that belongs to it, both in PEM")
		return nil
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		r.bad(at, "the certificate was good until "+pair.Leaf.NotAfter.Format(time.DateTime)+"; write a newer one")
	}
	return &pair
}

func (r *reader) quic(q *QUIC) {
	given := 0
	for _, is := range []bool{q.Address != "", q.KeyFile != "", len(q.Allow) > 0} {
		if is {
			given++
		}
	}
	if given == 0 {
		return
	}
	if given < 3 {
		r.bad("quic", "address, key-file and allow go together; write all three (--quic, --key and --allow)")
		return
	}
	r.address("quic.address", q.Address)
	q.Key = r.key("quic.key-file", q.KeyFile)
}

// key reads a private key for QUIC; nil: it cannot be read.
func (r *reader) key(at, file string) *identity.Key {
	key, err := identity.Load(file)
	if err == nil {
		return key
	}
	why := "there is no key in it that only its owner can read"
	if _, err := os.Stat(file); err != nil {
		why = unreadable(err)
	}
	r.bad(at, why+"; write the path of one that eventtarget keygen made")
	return nil
}
