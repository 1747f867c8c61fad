// Command votes counts votes live: who begins to watch a poll gets the count as it
// stands, and then every change, once; the hub knows how many watch.
package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// polls is the state, and the hub that tells of it.
type polls struct {
	hub *wsserver.Hub

	mu    sync.Mutex
	votes map[string]int // by poll
}

// count returns the event that tells how a poll stands. Under mu.
func (p *polls) count(poll string) eventtarget.Event[eventtarget.Raw] {
	return eventtarget.Event[eventtarget.Raw]{Type: "votes", ID: poll, Payload: fmt.Append(nil, p.votes[poll])}
}

// snapshot is what a spoke hears first. The state and its position in the hub's log
// are read together, so that no vote is missing between it and the next event, and none
// comes twice.
func (p *polls) snapshot(_ *hub.Spoke, t eventtarget.Topic) ([]eventtarget.Event[eventtarget.Raw], hub.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return []eventtarget.Event[eventtarget.Raw]{p.count(t.ID)}, p.hub.Position()
}

// cast counts a vote.
func (p *polls) cast(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.votes[e.ID]++
	_ = p.hub.Dispatch(ctx, p.count(e.ID)) // fails only when the hub is closed
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Println(err)
	}
}

func run(ctx context.Context) (err error) {
	p := &polls{votes: make(map[string]int)}
	p.hub, err = wsserver.New(&wsserver.Options{Options: hub.Options{OnlySubscribed: true, Snapshot: p.snapshot}})
	if err != nil {
		return err
	}
	if _, err := p.hub.Add(ctx, eventtarget.T("vote", "*"), eventtarget.Func(p.cast)); err != nil {
		return err
	}
	server := httptest.NewServer(p.hub)
	defer server.Close()
	defer p.hub.Close()

	lunch := eventtarget.T("votes", "lunch")
	watch := func() (*wsclient.Client, <-chan string, error) {
		c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), &wsclient.Options{Options: link.Options{Subscribe: true}})
		if err != nil {
			return nil, nil, err
		}
		counts := make(chan string, 10)
		_, err = c.Add(ctx, lunch, eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
			counts <- string(e.Payload)
		}))
		return c, counts, err
	}
	vote := func(c *wsclient.Client) error {
		return c.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "vote", ID: lunch.ID})
	}

	ada, first, err := watch()
	if err != nil {
		return err
	}
	defer ada.Close()
	fmt.Println("ada begins with", <-first)
	if err := vote(ada); err != nil {
		return err
	}
	fmt.Println("ada sees", <-first)
	grace, second, err := watch()
	if err != nil {
		return err
	}
	defer grace.Close()
	fmt.Println("grace begins with", <-second)
	fmt.Println(p.hub.Interested(lunch), "watch")
	if err := vote(grace); err != nil {
		return err
	}
	fmt.Println("ada sees", <-first)
	fmt.Println("grace sees", <-second)
	return nil
}
