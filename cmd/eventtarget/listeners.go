package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/web"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// serve serves HTTP, over TLS if there is a certificate, until the server is shut down.
func (d *daemon) serve(server *http.Server) error {
	if d.config.HTTP.Certificate == nil {
		return server.Serve(d.http)
	}
	server.TLSConfig = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.certificate.Load(), nil },
	}
	return server.ServeTLS(d.http, "", "")
}

// page tells whether the live page is served: it shows who is connected.
func (d *daemon) page(c *config.Config) bool {
	addr, ok := d.http.Addr().(*net.TCPAddr)
	open := len(c.Tokens) == 0 && c.JWT.Authenticate == nil
	return d.config.HTTP.Live || open && ok && addr.IP.IsLoopback()
}

// newRoutes are what this hub serves by a configuration.
func (d *daemon) newRoutes(c *config.Config) *http.ServeMux {
	return routes(d.hub, fromOrigins(c.Origins, d.hub), d.page(c), ssehub.HandlerOptions{
		Origins: c.Origins, Hosts: d.config.Hosts, TrustedProxies: networks(d.config.Proxies),
		Authenticate: d.policy.authenticate, Authorize: d.policy.authorizePost,
	})
}

// routes are what a hub serves; ws upgrades.
func routes(h *wsserver.Hub, ws http.Handler, page bool, o ssehub.HandlerOptions) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/ws", ws)
	mux.Handle("/sse", ssehub.NewHandler(h.Hub, o))
	mux.Handle("/dispatch", ssehub.NewPostHandler(h.Hub, o))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("/eventtarget.js", web.Module())
	if page {
		mux.Handle("/", web.NewLive(h.Hub))
	}
	return mux
}

// fromOrigins refuses pages of other origins: those of the same host may always connect,
// and so may requests without an Origin, which no browser sends.
func fromOrigins(origins []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := strings.ToLower(r.Header.Get("Origin"))
		_, host, _ := strings.Cut(origin, "://")
		allowed := origin == "" || host == strings.ToLower(r.Host)
		for _, pattern := range origins {
			ok, err := path.Match(strings.ToLower(pattern), origin)
			allowed = allowed || ok && err == nil
		}
		if !allowed {
			http.Error(w, "origin not allowed", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func networks(all []config.Prefix) (prefixes []netip.Prefix) {
	for _, p := range all {
		prefixes = append(prefixes, p.Prefix)
	}
	return prefixes
}

// serveQUIC makes the hub be reached over QUIC, too, and returns the URL; empty if that
// is not asked for.
func (d *daemon) serveQUIC() (url string, err error) {
	q := d.config.QUIC
	if q.Key == nil {
		return "", nil
	}
	l, err := listenQUIC(d.hub.Hub, q.Address, identity.Config{Key: q.Key, Allow: d.policy.allow})
	if err != nil {
		return "", fmt.Errorf("%s: %w; write another address, or end what listens there (ss -lntup shows it)", d.config.Label("quic.address"), err)
	}
	return fmt.Sprintf("quic://%s?pin=%s", l.Addr(), q.Key.Pin()), nil
}
