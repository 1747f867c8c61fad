package wsserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/wire"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// fast is the fast setting: with two misses a peer that is gone is noticed after four
// heartbeats at the latest.
const fast = 500 * time.Millisecond

// heartbeats is a hub and a client with the fast setting and something between them, and
// what each of the two is told.
type heartbeats struct {
	hub         *wsserver.Hub
	client      *wsclient.Client
	byHub, byUs chan time.Time // when a connection was lost
	heard       atomic.Int64
}

// newHeartbeats begins one; between makes the address to connect to of the hub's.
func newHeartbeats(t *testing.T, between func(hub string) string) *heartbeats {
	x := &heartbeats{byHub: make(chan time.Time, 100), byUs: make(chan time.Time, 100)}
	var url string
	x.hub, url = newHub(t, wsserver.Options{Options: hub.Options{
		Heartbeat: fast, Overflow: eventtarget.DropOldest, OnFault: func(eventtarget.Fault) {},
	}})
	c, err := wsclient.New("ws://"+between(strings.TrimPrefix(url, "ws://")), &wsclient.Options{Options: link.Options{
		Heartbeat: fast, Backoff: link.Backoff{Min: time.Minute, Max: time.Minute}, OnFault: func(f eventtarget.Fault) {
			if f.Kind == eventtarget.FaultDisconnected {
				x.byUs <- time.Now()
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	x.client = c
	t.Cleanup(func() { c.Close() })
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	spokes := peers(x.hub)
	if len(spokes) != 1 {
		t.Fatalf("%d spokes", len(spokes))
	}
	go func() { // a session that goes on is no fault
		for s := spokes[0].(*hub.Spoke); s.State() == eventtarget.StateUp; {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-t.Context().Done():
				return
			}
		}
		x.byHub <- time.Now()
	}()
	return x
}

// saturate dispatches in both directions all the time.
func (x *heartbeats) saturate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for _, target := range []eventtarget.Target{x.hub, x.client} {
		go func() {
			payload := eventtarget.Raw(`"` + strings.Repeat("x", 4000) + `"`)
			for ctx.Err() == nil {
				for range 16 { // 64 MB/s, so that the processor has time for others
					_ = target.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "n", Payload: payload}) // its log may be full
				}
				select {
				case <-time.After(time.Millisecond):
				case <-ctx.Done():
				}
			}
		}()
	}
	heard := eventtarget.Func(func(context.Context, eventtarget.Event[eventtarget.Raw]) { x.heard.Add(1) })
	if _, err := x.hub.Add(t.Context(), eventtarget.T("n", "*"), heard); err != nil {
		t.Fatal(err)
	}
}

// staysUp checks that nobody is given up for so long.
func (x *heartbeats) staysUp(t *testing.T, long time.Duration) {
	t.Helper()
	select {
	case <-x.byHub:
		t.Fatal("the hub has given the client up")
	case <-x.byUs:
		t.Fatal("the client has given the hub up")
	case <-time.After(long):
	}
}

// noticed checks that ends notice within three seconds, in steps of which each is as late as
// the machine is with everything. TestHeartbeat of the hub says when exactly.
func (x *heartbeats) noticed(t *testing.T, ends ...string) {
	t.Helper()
	const within, step = 3 * time.Second, 50 * time.Millisecond
	gone, steps := time.Now(), 0
	for _, who := range ends {
		c := map[string]chan time.Time{"the hub": x.byHub, "the client": x.byUs}[who]
		for waits := true; waits; {
			select {
			case at := <-c:
				t.Logf("%s notices after %v", who, at.Sub(gone))
				waits = false
			case <-time.After(step):
				if steps++; steps > int(within/step) {
					t.Fatalf("%s has not noticed after %v", who, time.Since(gone))
				}
			}
		}
	}
}

// TestBlackhole: both ends notice within three seconds that nothing passes any more, in
// one direction or in both, idle or while more is dispatched than passes; and until then
// nobody is given up. Where one direction still has much under way, who hears that goes on
// hearing it.
func TestBlackhole(t *testing.T) {
	for _, c := range []struct {
		name       string
		directions []faultnet.Direction
		busy       []string // who must notice when the connection is saturated
	}{
		{"both", nil, []string{"the hub", "the client"}},
		{"to the hub", []faultnet.Direction{faultnet.ToServer}, []string{"the hub"}},
		{"to the client", []faultnet.Direction{faultnet.ToClient}, []string{"the client"}},
	} {
		for _, load := range []string{"idle", "saturated"} {
			t.Run(c.name+" "+load, func(t *testing.T) {
				t.Parallel()
				var net *faultnet.Proxy
				x := newHeartbeats(t, func(hub string) string {
					var err error
					if net, err = faultnet.NewProxy(hub); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(net.Close)
					return net.Addr
				})
				if load == "saturated" {
					net.Rate(200_000)
					x.saturate(t)
				}
				x.staysUp(t, 5*fast)
				if load == "saturated" && x.heard.Load() == 0 {
					t.Error("nothing passes")
				}
				net.Stall(c.directions...)
				if load == "saturated" {
					x.noticed(t, c.busy...)
				} else {
					x.noticed(t, "the hub", "the client")
				}
			})
		}
	}
}

// TestProxyAnswersPings: a proxy that speaks WebSocket itself answers pings for the ends.
// They stay up through it, and notice when it dies.
func TestProxyAnswersPings(t *testing.T) {
	var net *faultnet.Proxy
	x := newHeartbeats(t, func(hub string) string {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forward(w, r, hub) }))
		t.Cleanup(proxy.Close)
		var err error
		if net, err = faultnet.NewProxy(strings.TrimPrefix(proxy.URL, "http://")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(net.Close)
		return net.Addr
	})
	x.staysUp(t, 5*fast)
	x.saturate(t)
	x.staysUp(t, 5*fast)
	if x.heard.Load() == 0 {
		t.Error("nothing passes")
	}
	net.Cut()
	x.noticed(t, "the hub", "the client")
}

// forward passes messages on between a client and a hub.
func forward(w http.ResponseWriter, r *http.Request, hub string) {
	near, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer near.CloseNow()
	far, _, err := websocket.Dial(r.Context(), "ws://"+hub, &websocket.DialOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer far.CloseNow()
	pass := func(to, from *websocket.Conn) {
		defer to.CloseNow()
		for {
			kind, msg, err := from.Read(context.WithoutCancel(r.Context()))
			if err != nil || to.Write(context.WithoutCancel(r.Context()), kind, msg) != nil {
				return
			}
		}
	}
	go pass(far, near)
	pass(near, far)
}
