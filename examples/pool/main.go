// Command pool answers WebSocket clients from worker processes, and replaces those while
// the clients stay connected: the sockets are the parent's, the handlers the children's.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/worker"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

type event = eventtarget.Event[eventtarget.Raw]

// answer is what a client is told.
type answer struct {
	Text string `json:"text"`
	By   int    `json:"by"` // process
}

// work is the child: it answers questions. The header that says who asked travels along.
func work(ctx context.Context) error {
	p, err := worker.Parent(&link.Options{Setup: func(p *link.Link) {
		_, err := p.Add(ctx, eventtarget.T("question", "*"), eventtarget.Func(func(ctx context.Context, e event) {
			var text string
			_ = json.Unmarshal(e.Payload, &text) // what is no text has the empty answer
			payload, err := json.Marshal(answer{Text: strings.ToUpper(text), By: os.Getpid()})
			if err == nil {
				err = p.Dispatch(ctx, event{Type: "answer", ID: e.ID, Payload: payload, Headers: e.Headers})
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, err) // the parent logs it
			}
		}))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}})
	if err != nil {
		return err
	}
	<-p.Done()
	return nil
}

// asker is the header that names the spoke which asked.
const asker = "asker"

// server is a hub whose handlers live in the processes of a pool.
type server struct {
	hub  *wsserver.Hub
	pool *worker.Pool
}

func serve(ctx context.Context, size int) (s server, err error) {
	program, err := filepath.Abs(os.Args[0])
	if err != nil {
		return s, err
	}
	if s.pool, err = worker.StartPool(worker.PoolOptions{Size: size, Worker: worker.Options{Path: program, Args: []string{"worker"}}}); err != nil {
		return s, err
	}
	if s.hub, err = wsserver.New(&wsserver.Options{Options: hub.Options{OnlySubscribed: true}}); err != nil {
		return s, err
	}
	// Questions on one topic go to one worker, in order. Inline: this only passes on.
	if _, err = s.hub.Add(ctx, eventtarget.T("question", "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: s.ask}); err != nil {
		return s, err
	}
	if _, err = s.pool.Add(ctx, eventtarget.T("answer", "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: s.tell}); err != nil {
		return s, err
	}
	return s, s.pool.Ready(ctx)
}

func (s server) ask(ctx context.Context, e event) {
	from := e.Source
	e.Headers = map[string]string{asker: from.ID()}
	if err := s.pool.Consumers().Dispatch(ctx, e); err != nil { // too much waits for that worker
		_ = from.Dispatch(ctx, event{Type: "busy", ID: e.ID}) // if it has not left
	}
}

func (s server) tell(ctx context.Context, e event) {
	if spoke, ok := s.hub.Spoke(e.Headers[asker]); ok { // else it has left
		_ = spoke.Dispatch(ctx, event{Type: e.Type, ID: e.ID, Payload: e.Payload})
	}
}

func (s server) close() {
	_ = s.hub.Close()
	_ = s.pool.Close()
}

func main() {
	do := run
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		do = work
	}
	if err := do(context.Background()); err != nil {
		fmt.Println(err)
	}
}

func run(ctx context.Context) error {
	s, err := serve(ctx, 2)
	if err != nil {
		return err
	}
	defer s.close()
	web := httptest.NewServer(s.hub)
	defer web.Close()
	ada, err := wsclient.New("ws"+strings.TrimPrefix(web.URL, "http"), nil)
	if err != nil {
		return err
	}
	defer ada.Close()
	answers := make(chan answer, 1)
	if _, err := ada.Add(ctx, eventtarget.T("answer", "*"), eventtarget.Func(func(_ context.Context, e event) {
		var a answer
		_ = json.Unmarshal(e.Payload, &a)
		answers <- a
	})); err != nil {
		return err
	}
	ask := func(text string) (answer, error) {
		payload, err := json.Marshal(text)
		if err == nil {
			err = ada.Dispatch(ctx, event{Type: "question", ID: "1", Payload: payload})
		}
		if err != nil {
			return answer{}, err
		}
		a := <-answers
		fmt.Println(a.Text)
		return a, nil
	}
	before, err := ask("who is there?")
	if err != nil {
		return err
	}
	if err := s.pool.Reload(ctx); err != nil {
		return err
	}
	after, err := ask("and now?")
	if err != nil {
		return err
	}
	fmt.Println("the same process:", before.By == after.By, "- connections:", s.hub.Len())
	return nil
}
