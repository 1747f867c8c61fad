package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/web"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// drainTime is how long a hub that was told to end brings its spokes what they
// lack.
const drainTime = 10 * time.Second

func newHub() *cobra.Command {
	var listen string
	var served served
	var backplane string
	var quic quicFlags
	var private private
	cmd := &cobra.Command{
		Use:   "hub",
		Short: "Run a hub that relays between its spokes",
		Long: "Run a hub that relays between its spokes, over WebSocket at /ws and over QUIC. What they\n" +
			"dispatch can be listened to at /sse?topic=chat:* too (server-sent events), and\n" +
			"POST /dispatch takes one event. The hub prints a line for each listener when it is ready,\n" +
			"and ends on SIGTERM or Ctrl-C by draining.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := wsserver.New(&wsserver.Options{
				Options: private.observe(hub.Options{Relay: true, Echo: true, OnFault: warn(cmd)}), Origins: served.origins,
			})
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			leave, err := join(cmd.Context(), cmd, h.Hub, backplane)
			if err != nil {
				return errors.Join(err, l.Close(), h.Close())
			}
			url, err := quic.serve(h.Hub)
			if err != nil {
				return errors.Join(err, l.Close(), h.Close())
			}
			cmd.Printf("hub: ready at ws://%s/ws\n", l.Addr())
			if url != "" {
				cmd.Printf("hub: ready at %s\n", url)
			}
			hide, err := private.serve(cmd, h.Hub)
			if err != nil {
				return errors.Join(err, l.Close(), h.Close())
			}
			defer hide()
			if served.page(l) {
				cmd.Printf("hub: what flows is shown at http://%s/\n", l.Addr())
			}
			err = serve(cmd.Context(), l, h, served)
			ctx, cancel := context.WithTimeout(context.Background(), drainTime)
			defer cancel()
			return errors.Join(err, leave(ctx))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address to listen at")
	cmd.Flags().StringVar(&backplane, "backplane", "", "bus that joins this hub with others, such as redis://HOST:PORT")
	quic.add(cmd)
	private.add(cmd)
	cmd.Flags().BoolVar(&served.live, "live", false, "serve the live page, which shows who is connected, to others than this machine too")
	cmd.Flags().StringSliceVar(&served.origins, "origin", nil, "origin of web pages that may connect, besides the hub's own (repeatable)")
	return cmd
}

// served is what a hub serves besides itself, and to whom.
type served struct {
	origins []string
	live    bool
}

// page tells whether the live page is served at an address: it shows who is connected.
func (s served) page(l net.Listener) bool {
	addr, ok := l.Addr().(*net.TCPAddr)
	return s.live || ok && addr.IP.IsLoopback()
}

// serve runs a hub until ctx ends and drains it.
func serve(ctx context.Context, l net.Listener, h *wsserver.Hub, s served) error {
	server := &http.Server{Handler: s.routes(l, h), ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return errors.Join(err, h.Close())
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return errors.Join(h.Shutdown(ctx), server.Shutdown(ctx))
}

// routes are what a hub serves.
func (s served) routes(l net.Listener, h *wsserver.Hub) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ws", h)
	o := ssehub.HandlerOptions{Origins: s.origins}
	mux.Handle("/sse", ssehub.NewHandler(h.Hub, o))
	mux.Handle("/dispatch", ssehub.NewPostHandler(h.Hub, o))
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.Handle("/eventtarget.js", web.Module())
	if s.page(l) {
		mux.Handle("/", web.NewLive(h.Hub))
	}
	return mux
}
