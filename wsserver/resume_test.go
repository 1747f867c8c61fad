package wsserver_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestResumeAfterCuts: after a cut of up to a second every client is back in its session.
// The log tells how soon, with default options.
func TestResumeAfterCuts(t *testing.T) {
	_, url := newHub(t, wsserver.Options{})
	net, err := faultnet.NewProxy(strings.TrimPrefix(url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	const clients = 20
	random := nemesis.Rand(t)
	var took []time.Duration
	for range nemesis.Times(50) {
		back := make(chan time.Time, clients)
		var all []*wsclient.Client
		for range clients {
			c, err := wsclient.New("ws://"+net.Addr, &wsclient.Options{Options: link.Options{
				OnFault: func(eventtarget.Fault) {},
				OnState: func(c link.Change) {
					if c.Resumed {
						back <- time.Now()
					}
				},
			}})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
			if err := c.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		net.Cut()
		<-time.After(time.Duration(random.IntN(1000)) * time.Millisecond)
		net.Heal()
		healed := time.Now()
		for range clients {
			select {
			case at := <-back:
				took = append(took, at.Sub(healed))
			case <-time.After(20 * time.Second):
				t.Fatal("a client never came back")
			}
		}
		for _, c := range all {
			c.Close()
		}
	}
	slices.Sort(took)
	t.Logf("%d reconnects: p50 %v, p99 %v, longest %v", len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}
