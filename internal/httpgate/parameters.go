package httpgate

import (
	"context"
	"net/http"
)

type readKey struct{}

// NoteParameters returns r with room for the names of the parameters of its URL that an
// authenticator reads, and that room: they are no mistakes of who asks.
func NoteParameters(r *http.Request) (*http.Request, *[]string) {
	read := new([]string)
	return r.WithContext(context.WithValue(r.Context(), readKey{}, read)), read
}

// ReadsParameter is for authenticators: it notes that one reads a parameter of r's URL.
func ReadsParameter(r *http.Request, name string) {
	if read, ok := r.Context().Value(readKey{}).(*[]string); ok {
		*read = append(*read, name)
	}
}
