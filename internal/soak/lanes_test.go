//go:build linux

package soak_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
	"github.com/eventtarget-go/toolkit/sseclient"
	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/worker"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

const (
	spokes    = 4
	heartbeat = 500 * time.Millisecond
	logBytes  = 1 << 20 // of a hub: what may grow until it is full is full soon
)

var backoff = link.Backoff{Min: 10 * time.Millisecond, Max: 200 * time.Millisecond}

// endpoint keeps one that a constructor has returned until the test ends.
func endpoint[E eventtarget.Endpoint](t *testing.T) func(E, error) E {
	return func(e E, err error) E {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = e.Close()
			<-e.Done()
		})
		return e
	}
}

func serve(t *testing.T, h http.Handler) (address string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func proxy(t *testing.T, address string) *faultnet.Proxy {
	t.Helper()
	p, err := faultnet.NewProxy(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// overTCP is what networks do to TCP.
func overTCP(p *faultnet.Proxy) []fault {
	return []fault{
		{"cut", p.Break, nil},
		{"away", p.Cut, p.Heal},
		{"black hole", func() { p.Stall() }, p.Heal},
		{"a byte at a time", func() { p.Shred(1) }, p.Heal},
		{"slow", func() { p.Delay(100 * time.Millisecond) }, p.Heal},
	}
}

func inMemory(t *testing.T) *lane {
	l := &lane{name: "inprocess"}
	target := inprocess.New[eventtarget.Raw](nil)
	t.Cleanup(func() { _ = target.Close() })
	f := l.flow("anybody", target, topic)
	for n := range spokes {
		l.ear(fmt.Sprint("listener ", n)).hears(t, target, topic, f)
	}
	return l
}

// fanOut makes a lane of a hub and its spokes: all hear the hub, which hears them all.
func (l *lane) fanOut(t *testing.T, h eventtarget.Endpoint, atHub *ear, spoke func(e *ear) eventtarget.Endpoint) {
	t.Helper()
	var all []eventtarget.Endpoint
	down := l.flow("hub", h, topic)
	for n := range spokes {
		e := l.ear(fmt.Sprint("spoke ", n))
		s := spoke(e)
		e.hears(t, s, topic, down)
		all = append(all, s)
		if atHub != nil {
			up := eventtarget.T("up", fmt.Sprint(n))
			atHub.hears(t, h, up, l.flow(e.name, s, up))
		}
	}
	l.ready = func(ctx context.Context) error {
		for _, s := range all {
			if err := s.Ready(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

func overWebSocket(t *testing.T) *lane {
	l := &lane{name: "WebSocket"}
	atHub := l.ear("hub")
	h := endpoint[*wsserver.Hub](t)(wsserver.New(&wsserver.Options{Options: hub.Options{OnFault: atHub.fault, Heartbeat: heartbeat, LogBytes: logBytes}}))
	net := proxy(t, serve(t, h))
	l.faults = overTCP(net)
	l.fanOut(t, h, atHub, func(e *ear) eventtarget.Endpoint {
		return endpoint[*wsclient.Client](t)(wsclient.New("ws://"+net.Addr, &wsclient.Options{
			Options: link.Options{OnFault: e.fault, Heartbeat: heartbeat, Backoff: backoff},
		}))
	})
	return l
}

func overEvents(t *testing.T) *lane {
	l := &lane{name: "server-sent events"}
	h := endpoint[*ssehub.Hub](t)(ssehub.New(&ssehub.Options{Options: hub.Options{OnFault: l.tell("hub"), Heartbeat: heartbeat, LogBytes: logBytes}}))
	net := proxy(t, serve(t, h))
	l.faults = overTCP(net)
	l.fanOut(t, h, nil, func(e *ear) eventtarget.Endpoint {
		return endpoint[*sseclient.Client](t)(sseclient.New("http://"+net.Addr, &sseclient.Options{
			Options: link.Options{OnFault: e.fault, Heartbeat: heartbeat, Backoff: backoff},
		}))
	})
	return l
}

func overQUIC(t *testing.T) *lane {
	var keys [2]*identity.Key
	for i := range keys {
		key, err := identity.New()
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key
	}
	l := &lane{name: "QUIC"}
	atHub := l.ear("hub")
	h := endpoint[*quichub.Hub](t)(quichub.Listen("127.0.0.1:0", &quichub.Options{
		Options: hub.Options{OnFault: atHub.fault, Heartbeat: heartbeat, LogBytes: logBytes},
		ListenerOptions: quichub.ListenerOptions{
			Identity: identity.Config{Key: keys[0], Pins: []identity.Pin{keys[1].Pin()}},
		},
	}))
	net, err := faultnet.NewRelay(h.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Close)
	l.fanOut(t, h, atHub, func(e *ear) eventtarget.Endpoint {
		return endpoint[*quicspoke.Spoke](t)(quicspoke.New(net.Addr, &quicspoke.Options{
			Options:  link.Options{OnFault: e.fault, Heartbeat: heartbeat, Backoff: backoff},
			Identity: identity.Config{Key: keys[1], Pins: []identity.Pin{keys[0].Pin()}},
		}))
	})
	l.faults = []fault{
		{"another address", func() {
			if err := net.Rebind(); err != nil {
				t.Error(err)
			}
		}, nil},
		{"black hole", func() { net.Stall() }, net.Heal},
		{"20 % lost", func() { net.Lose(20) }, net.Heal},
		{"20 % doubled", func() { net.Duplicate(20) }, net.Heal},
		{"20 % out of order", func() { net.Reorder(20) }, net.Heal},
	}
	return l
}

// child is what the workers do: they say what they hear.
func child() {
	p, err := worker.Parent(&link.Options{Setup: func(p *link.Link) {
		if _, err := p.Add(context.Background(), topic, eventtarget.Func(func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
			if err := p.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "said", Payload: e.Payload}); err != nil {
				panic(err)
			}
		})); err != nil {
			panic(err)
		}
	}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(77)
	}
	<-p.Done()
}

func throughWorker(t *testing.T) *lane {
	path, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	l := &lane{name: "worker", lossy: true}
	e := l.ear("parent")
	w := endpoint[*worker.Worker](t)(worker.Start(worker.Options{
		Path: path, Args: []string{"child"}, Restart: worker.Always, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Options: link.Options{OnFault: e.fault, Backoff: backoff},
	}))
	e.hears(t, w, eventtarget.T("said", ""), l.flow("parent", w, topic))
	l.ready = w.Ready
	stopped := 0
	signal := func(pid int, s syscall.Signal) {
		if pid > 0 {
			_ = syscall.Kill(pid, s)
		}
	}
	l.faults = []fault{
		{"killed", func() { signal(w.PID(), syscall.SIGKILL) }, nil},
		{"stopped", func() {
			stopped = w.PID()
			signal(stopped, syscall.SIGSTOP)
		}, func() { signal(stopped, syscall.SIGCONT) }},
		{"reloaded", func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := w.Reload(ctx); err != nil {
				t.Error(err)
			}
		}, nil},
	}
	return l
}
