package hub_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// stuck is an Inline listener that stays in the event 0 until it may go on.
type stuck struct {
	may   chan struct{}
	goOn  func()
	mu    sync.Mutex
	heard []string
}

func (s *stuck) handle(_ context.Context, e eventtarget.Event[raw]) {
	if string(e.Payload) == "0" {
		<-s.may
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, string(e.Payload))
}

func stick(t *testing.T, h *hub.Hub) *stuck {
	t.Helper()
	s := &stuck{may: make(chan struct{})}
	s.goOn = sync.OnceFunc(func() { close(s.may) })
	t.Cleanup(s.goOn)
	if _, err := h.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: s.handle}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stuck) expect(t *testing.T, want []string) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.heard, want) {
		t.Errorf("heard %d events %.100q, want %d", len(s.heard), s.heard, len(want))
	}
}

func upto(n int) (all []string) {
	for k := range n {
		all = append(all, fmt.Sprint(k))
	}
	return all
}

// TestRelief: an Inline listener that does not return keeps the hub from reading on for
// a moment only, and what was sent meanwhile is heard in order once it does, from a plain
// spoke and from one with a session, also if that has gone.
func TestRelief(t *testing.T) {
	for _, session := range []bool{true, false} {
		for _, leaves := range []bool{true, false} {
			t.Run(fmt.Sprintf("session %t, leaves %t", session, leaves), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHub(t, hub.Options{Heartbeat: time.Second})
					s := stick(t, h)
					var p *peer
					if session {
						p, _ = open(t, h, "ada", "")
					} else {
						p = attach(t, h, hub.Meta{})
					}
					sent := make(chan struct{})
					go func() {
						defer close(sent)
						for n := range 100 { // more than a pipe holds
							_ = p.conn.Send(fmt.Appendf(nil, `{"type":"n","id":"","payload":%d}`, n))
						}
					}()
					select {
					case <-sent:
					case <-time.After(3 * time.Second):
						t.Fatal("the hub does not read on")
					}
					s.expect(t, nil)
					if leaves {
						_ = p.conn.Close(eventtarget.Reason{})
					}
					s.goOn()
					s.expect(t, upto(100))
					if leaves {
						<-p.spoke.Done()
						return
					}
					send(p, 100, 110)
					s.expect(t, upto(110))
				})
			})
		}
	}
}

// TestReliefWindow: nor does it keep acknowledgements from a spoke, whose window would
// be full.
func TestReliefWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1, SpokeBytes: 1000})
		s := stick(t, h)
		p, _ := open(t, h, "ada", "")
		send(p, 0, 10)
		for n := range 100 {
			count(t, h, n, n+1)
			synctest.Wait()
			p.expect(fmt.Sprintf("n:%d %d", n, n))
			p.ack(n + 1)
		}
		s.goOn()
		s.expect(t, upto(10))
	})
}

// TestReliefBounded: what waits is bounded: then the peer has to wait.
func TestReliefBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: time.Second, SpokeBytes: 4000, Misses: 1000})
		s := stick(t, h)
		p := attach(t, h, hub.Meta{})
		const events = 2000
		sent := make(chan int, events)
		go func() {
			for n := range events {
				p.send(fmt.Sprintf(`{"type":"n","id":"","payload":%d}`, n))
				sent <- n
			}
		}()
		<-time.After(10 * time.Second)
		if n := len(sent); n < 100 || n > 300 {
			t.Errorf("a peer could send %d events", n)
		}
		s.goOn()
		s.expect(t, upto(events))
	})
}

// TestReliefGoexit: an Inline listener that ends the goroutine ends the spoke.
func TestReliefGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		if _, err := h.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) {
			runtime.Goexit()
		}}); err != nil {
			t.Fatal(err)
		}
		p := attach(t, h, hub.Meta{})
		send(p, 0, 1)
		if got := p.reason().Code; got != eventtarget.CodeInternal {
			t.Errorf("the spoke ended with %v", got)
		}
		<-p.spoke.Done()
	})
}

// TestSpokeGoexit: an Inline listener on a spoke that ends the goroutine does not keep the
// listeners of the hub from the event.
func TestSpokeGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := 0
		h := newHub(t, hub.Options{OnConnect: func(s *hub.Spoke) {
			if _, err := s.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) {
				runtime.Goexit()
			}}); err != nil {
				t.Error(err)
			}
		}})
		if _, err := h.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { heard++ }}); err != nil {
			t.Fatal(err)
		}
		p := attach(t, h, hub.Meta{})
		send(p, 0, 1)
		<-p.spoke.Done()
		if heard != 1 {
			t.Errorf("heard %d times", heard)
		}
	})
}

// TestReliefBroken: what had arrived from a peer before nothing more could be written to it is
// heard, too: it may never come back to send it again.
func TestReliefBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: time.Second, OnFault: ignore})
		s := stick(t, h)
		p, _ := open(t, h, "ada", "")
		send(p, 0, 5)
		<-time.After(3 * time.Second)
		_ = p.conn.Close(eventtarget.Reason{Code: eventtarget.CodeGoingAway})
		count(t, h, 0, 2) // which cannot be written
		s.goOn()
		s.expect(t, upto(5))
	})
}
