// Command votes counts votes live: who begins to watch a poll gets the count as it
// stands, and then every change, once, over WebSocket or in a page over Server-Sent
// Events; the hub knows how many watch.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/ssehub"
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
	mux := http.NewServeMux()
	mux.Handle("/ws", p.hub)
	mux.Handle("/sse", ssehub.NewHandler(p.hub.Hub, ssehub.HandlerOptions{}))
	server := httptest.NewServer(mux)
	defer server.Close()
	defer p.hub.Close()

	lunch := eventtarget.T("votes", "lunch")
	watch := func() (*wsclient.Client, <-chan string, error) {
		c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http")+"/ws", &wsclient.Options{Options: link.Options{Subscribe: true}})
		if err != nil {
			return nil, nil, err
		}
		counts := make(chan string, 10)
		_, err = c.Add(ctx, lunch, eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
			counts <- string(e.Payload)
		}))
		return c, counts, err
	}
	// A page does this with new EventSource("/sse?topic=votes:lunch").
	page, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/sse?topic="+lunch.String(), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(page)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	shown := func() (data string) {
		for found := false; !found && lines.Scan(); {
			data, found = strings.CutPrefix(lines.Text(), "data: ")
		}
		return data
	}

	fmt.Println("the page begins with", shown())
	for _, name := range []string{"ada", "grace"} {
		c, counts, err := watch()
		if err != nil {
			return err
		}
		defer c.Close()
		fmt.Println(name, "begins with", <-counts)
		fmt.Println(p.hub.Interested(lunch), "watch")
		if err := c.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: "vote", ID: lunch.ID}); err != nil {
			return err
		}
		fmt.Println(name, "sees", <-counts)
		fmt.Println("the page sees", shown())
	}
	return nil
}
