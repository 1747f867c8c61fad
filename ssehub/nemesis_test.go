package ssehub_test

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
	"github.com/eventtarget-go/toolkit/sseclient"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// TestNemesisCuts: 2000 events a second to clients whose connections are cut again and
// again, and shredded meanwhile. One hears all that the hub sends, one has asked for its
// topic. Nothing is lost, doubled or out of order.
func TestNemesisCuts(t *testing.T) {
	var history nemesis.History
	p := history.Publisher("hub")
	h, err := ssehub.New(&ssehub.Options{Options: hub.Options{OnFault: func(eventtarget.Fault) {}}})
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
	topic := eventtarget.T("n", "")
	var clients []*sseclient.Client
	for name, topics := range map[string][]eventtarget.Topic{"all": nil, "asked": {topic}} {
		l := history.Listener(name, p)
		c, err := sseclient.New("http://"+net.Addr, &sseclient.Options{Topics: topics, Options: link.Options{
			OnFault: l.Fault, Backoff: link.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond},
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Add(t.Context(), topic, eventtarget.Func(l.Handle)); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Traffic(ctx, math.MaxInt, h, topic, 500*time.Microsecond) }()
	random := nemesis.Rand(t)
	cuts := nemesis.Times(300)
	for i := range cuts {
		pause := time.NewTimer(time.Duration(random.IntN(30)) * time.Millisecond)
		<-pause.C
		for _, c := range clients {
			if err := c.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		net.Shred([]int{0, 7, 1000}[i%3])
		net.Break()
	}
	net.Heal()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if v := history.Await(t, 20*time.Second); v.LostAnnounced > 0 {
		t.Errorf("with the window held %d events were lost", v.LostAnnounced)
	}
}
