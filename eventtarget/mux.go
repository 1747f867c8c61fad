package eventtarget

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Errors of [Mux.Open].
var (
	// ErrUnknownScheme: no opener is registered for the URL's scheme.
	ErrUnknownScheme = errors.New("unknown scheme")
	// ErrUnknownParameter: the opener does not know a parameter of the URL's query.
	ErrUnknownParameter = errors.New("unknown parameter")
)

// Opener makes a target from a URL. ctx bounds the call, not the target.
type Opener func(ctx context.Context, u *url.URL) (Endpoint, error)

// Mux opens targets by URL: each scheme has its [Opener]. The zero Mux is ready
// to use and knows no scheme. Package open has one with every scheme of ours. A
// Mux may be used from any goroutine.
type Mux struct {
	mu      sync.RWMutex
	openers map[string]Opener
}

// Handle registers the opener of a scheme, in place of one that it had.
func (m *Mux) Handle(scheme string, o Opener) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.openers == nil {
		m.openers = make(map[string]Opener)
	}
	m.openers[strings.ToLower(scheme)] = o
}

// Schemes returns the schemes that have an opener, sorted.
func (m *Mux) Schemes() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Sorted(maps.Keys(m.openers))
}

// Open opens the target that rawURL names. The error is [ErrUnknownScheme],
// [ErrUnknownParameter] or the opener's; a password in the URL never stands in it.
func (m *Mux) Open(ctx context.Context, rawURL string) (Endpoint, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The error of url.Parse repeats the URL, with a password if it has one.
		return nil, &Error{Op: "open", Err: errors.New("the URL cannot be parsed")}
	}
	m.mu.RLock()
	o := m.openers[u.Scheme]
	m.mu.RUnlock()
	if o == nil {
		return nil, &Error{Op: "open", Err: fmt.Errorf("%w %q (known: %s)",
			ErrUnknownScheme, clip(u.Scheme), strings.Join(m.Schemes(), ", "))}
	}
	t, err := o(ctx, u)
	if err != nil {
		if own, is := err.(*Error); is && own.Op == "open" { //nolint:errorlint // the adapter's says the same; one that is wrapped says more
			err = own.Err
		}
		return nil, &Error{Op: "open", Adapter: u.Scheme, Err: err}
	}
	return t, nil
}

// CheckParameters is for openers: it returns [ErrUnknownParameter], with its
// name, when the URL's query has a parameter that is not among known, and an error for a
// query that cannot be read, of which [url.URL.Query] leaves out what it does not understand.
func CheckParameters(u *url.URL, known ...string) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		// The error of url.ParseQuery repeats a part of it, which may be a secret.
		return errors.New("the query cannot be read: write NAME=VALUE with & in between, and what else has a meaning in a URL as %XX")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains(known, name) {
			return fmt.Errorf("%w %q (known: %s)", ErrUnknownParameter, clip(name), strings.Join(known, ", "))
		}
	}
	return nil
}
