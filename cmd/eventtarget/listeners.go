package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/httpgate"
	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/web"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// website is a listener for what begins as an HTTP request.
type website struct {
	config.Listener // what the hub was started with
	socket          net.Listener
	server          *http.Server
	routes          atomic.Pointer[http.ServeMux]
	certificate     atomic.Pointer[tls.Certificate]
}

// openWebsites listens at every address for HTTP. After an error some may be open.
func (d *daemon) openWebsites(ctx context.Context) error {
	c := d.config
	for key, l := range c.Listeners(config.KindHTTP) {
		socket, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(ctx), "tcp", l.Address)
		if err != nil {
			return cannotListen(c, key, err)
		}
		w := &website{Listener: l, socket: socket}
		w.server = d.newServer(func(rw http.ResponseWriter, r *http.Request) { w.routes.Load().ServeHTTP(rw, r) })
		w.certificate.Store(l.Certificate)
		w.routes.Store(d.newRoutes(c, w))
		d.websites = append(d.websites, w)
	}
	return nil
}

// newServer returns a server of HTTP in which whoever is no spoke, and so counts for no limit,
// holds a connection and the end of the hub for moments only: a request has to come in time,
// whole, and so has the next one.
func (d *daemon) newServer(handle http.HandlerFunc) *http.Server {
	return &http.Server{
		Handler: handle, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		MaxHeaderBytes: int(d.config.Limits.MaxHeaderBytes), ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
}

func cannotListen(c *config.Config, listener string, err error) error {
	key := listener
	if key != config.KindMetrics { // which is an address itself
		key += ".address"
	}
	return fmt.Errorf("%s: %w; write another address, or end what listens there (ss -lntup shows it)", c.Label(key), err)
}

// serve serves HTTP, over TLS if there is a certificate, until the server is shut down.
func (w *website) serve() error {
	if w.Certificate == nil {
		return w.server.Serve(w.socket)
	}
	w.server.TLSConfig = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return w.certificate.Load(), nil },
	}
	return w.server.ServeTLS(w.socket, "", "")
}

// url returns where a path is reached over a scheme or, with TLS, over that with an s.
func (w *website) url(scheme, path string) string {
	if w.Certificate != nil {
		scheme += "s"
	}
	return fmt.Sprintf("%s://%s%s", scheme, w.socket.Addr(), path)
}

// page tells whether the live page is served: it shows who is connected.
func (w *website) page(c *config.Config) bool {
	addr, ok := w.socket.Addr().(*net.TCPAddr)
	open := len(c.Tokens) == 0 && c.JWT.Authenticate == nil
	return w.Live || open && ok && addr.IP.IsLoopback()
}

// renew takes over what running listeners can of a configuration. What is configured is known
// again by its address, of which port 0 is any number of listeners': those are in order.
func (d *daemon) renew(c *config.Config) {
	var now []config.Listener
	for _, l := range c.Listeners(config.KindHTTP) {
		now = append(now, l)
	}
	for _, w := range d.websites {
		w.routes.Store(d.newRoutes(c, w))
		i := slices.IndexFunc(now, func(l config.Listener) bool { return l.Address == w.Address })
		if i < 0 {
			continue
		}
		if now[i].Certificate != nil {
			w.certificate.Store(now[i].Certificate)
		}
		now = slices.Delete(now, i, i+1)
	}
}

// newRoutes are what this hub serves by a configuration.
func (d *daemon) newRoutes(c *config.Config, w *website) *http.ServeMux {
	return routes(d.hub, fromOrigins(c.Origins, d.hub), w.page(c), ssehub.PostOptions{Authorize: d.policy.authorizePost, HandlerOptions: ssehub.HandlerOptions{
		Origins: c.Origins, Hosts: d.config.Hosts, TrustedProxies: networks(d.config.Proxies), Authenticate: d.policy.authenticate,
	}})
}

// routes are what a hub serves; ws upgrades.
func routes(h *wsserver.Hub, ws http.Handler, page bool, o ssehub.PostOptions) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/ws", ws)
	mux.Handle("/sse", ssehub.NewHandler(h.Hub, o.HandlerOptions))
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
		if !httpgate.AllowedOrigin(r, origins) {
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

// serveQUIC makes the hub be reached over QUIC, too, and returns the URLs.
func (d *daemon) serveQUIC() (urls []string, err error) {
	for key, q := range d.config.Listeners(config.KindQUIC) {
		l, err := listenQUIC(d.hub.Hub, q.Address, identity.Config{Key: q.Key, Allow: d.policy.allow})
		if err != nil {
			return nil, cannotListen(d.config, key, err)
		}
		urls = append(urls, fmt.Sprintf("quic://%s?pin=%s", l.Addr(), q.Key.Pin()))
	}
	return urls, nil
}
