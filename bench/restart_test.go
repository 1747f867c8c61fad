package bench

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// BenchmarkRestart has 1000 clients come back to a hub that was down for a second: one
// that said so and asked them to spread over two seconds, and one that did not.
// back-s is when the last one was back, share the largest part of them that came within
// 100 ms, in percent.
func BenchmarkRestart(b *testing.B) {
	const clients, down, spread = 1000, time.Second, 2 * time.Second
	for name, end := range map[string]func(h *wsserver.Hub) error{
		"announced": func(h *wsserver.Hub) error { return h.Restart(context.Background(), spread) },
		"lost": func(h *wsserver.Hub) error {
			for s := range h.Spokes() { // as a crash does, without a word
				s.Disconnect(eventtarget.Reason{Code: eventtarget.CodeLost})
			}
			return h.Close()
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				last, share := restart(b, clients, down, end)
				b.ReportMetric(last.Seconds(), "back-s")
				b.ReportMetric(100*share, "share-%")
			}
		})
	}
}

func restart(b *testing.B, clients int, down time.Duration, end func(h *wsserver.Hub) error) (last time.Duration, share float64) {
	var mu sync.Mutex
	var joined []time.Time
	start := func(addr string) (*wsserver.Hub, *http.Server, string) {
		h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
			Spokes: 2 * clients, SpokesPerAddr: 2 * clients, OnFault: func(eventtarget.Fault) {},
			OnConnect: func(*hub.Spoke) {
				mu.Lock()
				defer mu.Unlock()
				joined = append(joined, time.Now())
			},
		}})
		if err != nil {
			b.Fatal(err)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = server.Serve(l) }()
		return h, server, l.Addr().String()
	}
	h, server, addr := start("127.0.0.1:0")
	for range clients {
		c, err := wsclient.New("ws://"+addr, &wsclient.Options{Options: link.Options{OnFault: func(eventtarget.Fault) {}}})
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if err := c.Ready(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(end(h), server.Close()); err != nil {
		b.Fatal(err)
	}
	<-time.After(down)
	mu.Lock()
	joined = nil
	mu.Unlock()
	back := time.Now()
	h, server, _ = start(addr)
	defer server.Close()
	defer h.Close()
	for giveUp := time.After(60 * time.Second); h.Len() < clients; {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-giveUp:
			b.Fatalf("%d of %d are back", h.Len(), clients)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	slices.SortFunc(joined, time.Time.Compare)
	most := 0
	for i, from := 0, 0; i < len(joined); i++ {
		for joined[i].Sub(joined[from]) > 100*time.Millisecond {
			from++
		}
		most = max(most, i-from+1)
	}
	return joined[len(joined)-1].Sub(back), float64(most) / float64(clients)
}
