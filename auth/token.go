package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/httpgate"
)

// Authenticator tells who makes a request. It may be called from any goroutine.
type Authenticator = func(r *http.Request) (hub.Grant, error)

// errNoToken and errUnknown are all that a stranger may learn.
var (
	errNoToken = errors.New("auth: no token")
	errUnknown = errors.New("auth: unknown token")
)

// Static knows tokens beforehand: identities by token. It compares them in a time
// that does not depend on their text.
func Static(identities map[string]string) Authenticator {
	type known struct {
		sum      [sha256.Size]byte
		identity string
	}
	var all []known
	for token, identity := range identities {
		all = append(all, known{sha256.Sum256([]byte(token)), identity})
	}
	return func(r *http.Request) (hub.Grant, error) {
		token := bearer(r)
		if token == "" {
			return hub.Grant{}, errNoToken
		}
		sum := sha256.Sum256([]byte(token))
		var found *known
		for i := range all { // all of them, whichever it is
			if subtle.ConstantTimeCompare(sum[:], all[i].sum[:]) == 1 {
				found = &all[i]
			}
		}
		if found == nil {
			return hub.Grant{}, errUnknown
		}
		return hub.Grant{Identity: found.identity}, nil
	}
}

// FromQuery makes an authenticator find the token in a parameter of the URL if there
// is no Authorization header. Package ssehub, which refuses parameters that it does not
// know, takes this one for known.
func FromQuery(parameter string, a Authenticator) Authenticator {
	return func(r *http.Request) (hub.Grant, error) {
		httpgate.ReadsParameter(r, parameter)
		if token := r.URL.Query().Get(parameter); token != "" && r.Header.Get("Authorization") == "" {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return a(r)
	}
}

// bearer returns the token of a request, or nothing. The scheme's case does not
// matter (RFC 9110 §11.1).
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
