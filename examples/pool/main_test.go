package main

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// TestMain makes this binary the workers, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		main()
		return
	}
	os.Exit(m.Run())
}

func Example() {
	main()
	// Output:
	// WHO IS THERE?
	// AND NOW?
	// the same process: false - connections: 1
}

// TestReload: every question is answered once and in order while all workers are
// replaced, again and again, and no client notices.
func TestReload(t *testing.T) {
	const clients, questions, reloads = 20, 100, 4
	s, err := serve(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	web := httptest.NewServer(s.hub)
	defer web.Close()
	var wg sync.WaitGroup
	var by sync.Map
	var reloaded atomic.Bool
	for n := range clients {
		c, err := wsclient.New("ws"+strings.TrimPrefix(web.URL, "http"), &wsclient.Options{Options: link.Options{
			OnFault: func(f eventtarget.Fault) {
				if f.Kind != eventtarget.FaultDiscarded { // by Close below: what is not yet acknowledged
					t.Error(f)
				}
			},
			OnState: func(c link.Change) {
				if c.State == eventtarget.StateDown {
					t.Errorf("a client lost its connection: %v", c.Cause)
				}
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		answers := make(chan answer, questions)
		if _, err := c.Add(t.Context(), eventtarget.T("answer", "*"), eventtarget.Func(func(_ context.Context, e event) {
			var a answer
			if err := json.Unmarshal(e.Payload, &a); err != nil {
				t.Error(err)
			}
			answers <- a
		})); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for q := 0; q < questions || !reloaded.Load(); q++ {
				if err := c.Dispatch(t.Context(), event{Type: "question", ID: strconv.Itoa(n), Payload: eventtarget.Raw(strconv.Quote(strconv.Itoa(q)))}); err != nil {
					t.Error(err)
					return
				}
				select {
				case a := <-answers:
					if by.Store(a.By, true); a.Text != strconv.Itoa(q) {
						t.Errorf("client %d was told %s, want %d", n, a.Text, q)
						return
					}
				case <-time.After(20 * time.Second):
					t.Errorf("client %d was never told %d", n, q)
					return
				}
			}
		})
	}
	for range reloads {
		if err := s.pool.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	reloaded.Store(true)
	wg.Wait()
	processes := 0
	by.Range(func(any, any) bool { processes++; return true })
	if s.hub.Len() != clients || processes < 4 {
		t.Errorf("%d clients are left, which %d processes have answered", s.hub.Len(), processes)
	}
}
