// Package httpgate decides about the requests that become spokes of a hub, whatever
// they become then.
package httpgate

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// Refusal is an answer to a request that is not let in.
type Refusal struct {
	Status int    // of HTTP; default 403
	Text   string // told to the peer
}

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

// Gate is what an adapter was told about requests: see the options of wsserver.
type Gate struct {
	Hub            *hub.Hub
	Transport      string // hub.Meta's
	Authenticate   func(r *http.Request) (hub.Grant, error)
	Hosts          []string
	TrustedProxies []netip.Prefix
	KeepHeaders    []string
}

// Meta returns what is kept of a request.
func (g *Gate) Meta(r *http.Request) hub.Meta {
	m := hub.Meta{Transport: g.Transport, Addr: clientAddr(r, g.TrustedProxies), Path: r.URL.Path}
	for _, name := range g.KeepHeaders {
		if v := r.Header.Get(name); v != "" {
			if m.Headers == nil {
				m.Headers = make(map[string]string)
			}
			m.Headers[name] = v
		}
	}
	return m
}

// Check decides whether a request is let in, and adds to meta what it finds out.
func (g *Gate) Check(r *http.Request, meta *hub.Meta) error {
	return g.check(r, meta, g.Hub.Admit)
}

// CheckPassing is Check for a request that does not become a spoke: it needs no room.
func (g *Gate) CheckPassing(r *http.Request, meta *hub.Meta) error {
	return g.check(r, meta, func(addr string) error {
		if err := g.Hub.Admit(addr); !errors.Is(err, eventtarget.ErrLimit) {
			return err
		}
		return nil
	})
}

func (g *Gate) check(r *http.Request, meta *hub.Meta, admit func(addr string) error) error {
	if !AllowedHost(r, g.Hosts, fromProxy(r, g.TrustedProxies)) {
		return &Refusal{http.StatusForbidden, "host not allowed"}
	}
	if err := admit(meta.Addr); err != nil {
		return err
	}
	if g.Authenticate == nil {
		return nil
	}
	grant, err := g.Authenticate(r)
	meta.Identity, meta.Values, meta.Expires = grant.Identity, grant.Values, grant.Expires
	if _, says := errors.AsType[*Refusal](err); err != nil && !says {
		return errUnauthorized // it may be another target's ErrClosed, which is not this hub's
	}
	return err
}

// errUnauthorized is all that a stranger may learn.
var errUnauthorized = errors.New("unauthorized")

// Refuse answers a request that was not let in.
func Refuse(w http.ResponseWriter, err error) {
	if r, ok := errors.AsType[*Refusal](err); ok {
		http.Error(w, r.Text, cmp.Or(r.Status, http.StatusForbidden))
		return
	}
	switch {
	case errors.Is(err, eventtarget.ErrClosed):
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
	case errors.Is(err, eventtarget.ErrLimit):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "unauthorized", http.StatusUnauthorized)
	}
}

// AllowedHost tells whether the host that a request asks for is one of ours.
func AllowedHost(r *http.Request, hosts []string, throughProxy bool) bool {
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if hosts != nil {
		return slices.ContainsFunc(hosts, func(h string) bool { return h == "*" || strings.EqualFold(h, name) })
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !isLoopback(local.String()) || throughProxy {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || err == nil && ip.IsLoopback()
}

// OwnHost serves, on a loopback address, only requests for this machine: a page whose name
// leads here by its owner's will asks for that name (DNS rebinding).
func OwnHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !AllowedHost(r, nil, false) {
			http.Error(w, "host not allowed", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// clientAddr returns the address that a request comes from, as far as it can be
// believed.
func clientAddr(r *http.Request, trusted []netip.Prefix) string {
	if !fromProxy(r, trusted) {
		return r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		ip, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break // what is before it could be anybody's
		}
		if !contains(trusted, ip) {
			return ip.String()
		}
	}
	return r.RemoteAddr
}

func fromProxy(r *http.Request, trusted []netip.Prefix) bool {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && contains(trusted, ap.Addr())
}

func contains(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}
