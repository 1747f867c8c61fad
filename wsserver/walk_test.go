package wsserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/internal/netwalk"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestRandom: whatever is done to a hub, its spokes and the network between them: in a session
// everything is heard, once and in order, or told to be missing; outside of one the same between
// two connections; and nothing is left when all is closed.
func TestRandom(t *testing.T) {
	for _, kind := range []string{netwalk.Roomy, netwalk.Small, netwalk.Store} {
		t.Run(kind, func(t *testing.T) {
			nemesis.Walk(t, 1, func(t *testing.T, seed uint64) {
				netwalk.Run(t, kind, seed, overSockets([]string{"ws", "wss"}[seed%2]))
			})
		})
	}
}

// overSockets is the transport. Each other socket of a hub holds little.
func overSockets(scheme string) netwalk.Transport {
	return netwalk.Transport{
		Listen: func(address string, o hub.Options) (*netwalk.Server, error) {
			h, err := wsserver.New(&wsserver.Options{Options: o, Authenticate: func(r *http.Request) (hub.Grant, error) {
				return hub.Grant{Identity: r.Header.Get("Walk")}, nil
			}})
			if err != nil {
				return nil, err
			}
			l, err := listenAgain(address)
			if err != nil {
				return nil, err
			}
			s := httptest.NewUnstartedServer(h)
			s.Listener.Close()
			s.Listener = &someSmall{Listener: l}
			s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are cut
			if scheme == "wss" {
				s.StartTLS()
			} else {
				s.Start()
			}
			return &netwalk.Server{Hub: h.Hub, End: h, Address: l.Addr().String(), Stop: s.Close}, nil
		},
		Dial: func(n int, address string, plain bool, o link.Options) (*link.Link, netwalk.Net, error) {
			w := new(wires)
			for i := range w.proxies {
				p, err := faultnet.NewProxy(address)
				if err != nil {
					return nil, nil, err
				}
				w.proxies[i] = p
			}
			w.transport = &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // of the test's own server
				DialContext:     w.dial,
			}
			c, err := wsclient.New(scheme+"://"+address, &wsclient.Options{
				Options: o, Plain: plain, Header: http.Header{"Walk": {strconv.Itoa(n)}}, HTTPClient: &http.Client{Transport: w.transport},
			})
			if err != nil {
				return nil, nil, err
			}
			return c.Link, w, nil
		},
		Who: func(s *hub.Spoke) int { n, _ := strconv.Atoi(s.Identity()); return n },
	}
}

// listenAgain listens at an address where somebody else has just stopped to.
func listenAgain(address string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for tries := 0; ; tries++ {
		l, err := net.Listen("tcp", address)
		if err == nil || tries > 1000 {
			return l, err
		}
		<-tick.C // the port may have been lent to a connection meanwhile
	}
}

// someSmall makes the kernel hold little of what a server writes to each other connection.
type someSmall struct {
	net.Listener
	n int
}

func (l *someSmall) Accept() (net.Conn, error) {
	l.n++
	if l.n%2 == 0 {
		return l.Listener.Accept()
	}
	return smallBuffers{l.Listener}.Accept()
}

// wires are two ways between a spoke and its hub, of which it takes one.
type wires struct {
	transport *http.Transport
	mu        sync.Mutex
	proxies   [2]*faultnet.Proxy
	taken     int
}

func (w *wires) now() *faultnet.Proxy {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.proxies[w.taken]
}

func (w *wires) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", w.now().Addr)
}

func (w *wires) Break() { w.now().Break() }
func (w *wires) Away()  { w.proxies[0].Cut(); w.proxies[1].Cut() }

func (w *wires) Hang(way int) {
	if way == 2 {
		w.now().Stall()
	} else {
		w.now().Stall(faultnet.Direction(way))
	}
}

// Strand leaves what hangs there for later: it comes when all is healed, after what came over
// the other way.
func (w *wires) Strand() {
	w.now().Stall()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken = 1 - w.taken
	w.proxies[w.taken].Heal()
}

func (w *wires) Worsen(by int) {
	switch p := w.now(); by % 3 {
	case 0:
		p.Shred(1 + by/3%700)
	case 1:
		p.Delay(time.Duration(1+by/3%30) * time.Millisecond)
	default:
		p.Rate(256<<10 + by/3%(4<<20))
	}
}

func (w *wires) Heal() { w.proxies[0].Heal(); w.proxies[1].Heal() }

func (w *wires) Close() {
	for _, p := range w.proxies {
		p.Close()
	}
	w.transport.CloseIdleConnections()
}
