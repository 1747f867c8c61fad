package httpgate

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// OwnOrigin tells whether a request comes from a page of the host that it asks, or has no
// Origin, without which no browser sends one for a page of another host.
func OwnOrigin(r *http.Request) bool {
	text := r.Header.Get("Origin")
	if text == "" {
		return true
	}
	origin, err := url.Parse(text)
	return err == nil && strings.EqualFold(r.Host, origin.Host)
}

// AllowedOrigin tells whether a request comes from its own origin, or from one that a pattern
// of [path.Match] names: of a host, or of an origin where the pattern has a scheme. The rules
// are those of coder/websocket, which decides for wsserver: behind a pattern that is none
// there is nothing that allows.
func AllowedOrigin(r *http.Request, patterns []string) bool {
	if OwnOrigin(r) {
		return true
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	if err != nil {
		return false
	}
	for _, pattern := range patterns {
		name := origin.Host
		if strings.Contains(pattern, "://") {
			name = origin.Scheme + "://" + origin.Host
		}
		ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
		if ok || err != nil {
			return ok
		}
	}
	return false
}

// CheckOrigins tells which of the patterns is none: it would allow nothing, nor would those
// behind it.
func CheckOrigins(patterns []string) error {
	for _, pattern := range patterns {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("in Origins %q is no pattern: %w", pattern, err)
		}
	}
	return nil
}
