package wsserver_test

import (
	"context"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestNemesisCuts: 2000 events a second in each direction while the connection is cut
// again and again. With the window held nothing is lost, doubled or out of order.
func TestNemesisCuts(t *testing.T) {
	var history nemesis.History
	down, up := history.Publisher("hub"), history.Publisher("client")
	atClient, atHub := history.Listener("client", down), history.Listener("hub", up)
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{OnFault: atHub.Fault}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	net, err := faultnet.NewProxy(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	resumed, fresh := 0, 0
	c, err := wsclient.New("ws://"+net.Addr, &wsclient.Options{Options: link.Options{
		OnFault: atClient.Fault, Backoff: link.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
		OnState: func(c link.Change) {
			switch {
			case c.Resumed:
				resumed++
			case c.State == eventtarget.StateUp:
				fresh++
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	topic := eventtarget.T("n", "")
	for to, l := range map[eventtarget.Target]*nemesis.Listener{h: atHub, c: atClient} {
		if _, err := to.Add(t.Context(), topic, eventtarget.Func(l.Handle)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- down.Traffic(ctx, math.MaxInt, h, topic, 500*time.Microsecond) }()
	go func() { ended <- up.Traffic(ctx, math.MaxInt, c, topic, 500*time.Microsecond) }()
	random := nemesis.Rand(t)
	cuts := nemesis.Times(1000)
	for range cuts {
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		net.Break()
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if v := history.Await(t, 20*time.Second); v.LostAnnounced > 0 {
		t.Errorf("with the window held %d events were lost", v.LostAnnounced)
	}
	c.Close()
	<-c.Done()
	t.Logf("%d cuts, %d times resumed, %d new sessions", cuts, resumed, fresh)
	if fresh != 1 {
		t.Errorf("%d sessions were begun, want 1", fresh)
	}
}
