package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestSessionRenewed: who resumes a session with another proof is who that one says: its
// values and its end count, and not those that the session began with.
func TestSessionRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type proof struct{}
		type note struct{}
		h := sessionHub(t, hub.Options{OnFault: ignore})
		come := func(id int, expires time.Duration, payload string) (*peer, welcome) {
			return openAs(t, h, func(c negotiated) link.Conn { return c },
				hub.Meta{Identity: "ann", Values: map[any]any{proof{}: id}, Expires: time.Now().Add(expires)}, payload)
		}
		p, w := come(1, 10*time.Second, "")
		p.spoke.SetValue(note{}, "mine")
		p.conn.Cut()
		synctest.Wait()
		q, again := come(2, 30*time.Second, resume(w, 0))
		if !again.Resumed {
			t.Fatal("the session was not resumed")
		}
		if s := q.spoke; s.Value(proof{}) != 2 || s.Value(note{}) != "mine" {
			t.Errorf("its values are %v and %v", s.Value(proof{}), s.Value(note{}))
		}
		<-time.After(20 * time.Second)
		if r, ended := q.spoke.Reason(); ended {
			t.Fatalf("ended with the first proof: %v", r)
		}
		<-time.After(11 * time.Second)
		if s := q.spoke.State(); s != eventtarget.StateDown {
			t.Errorf("behind the end of the second it is %v", s)
		}
		q.mu.Lock()
		if r, _ := errors.AsType[eventtarget.Reason](q.closed); r.Code != eventtarget.CodeExpired {
			t.Errorf("the peer was told %v", q.closed)
		}
		q.mu.Unlock()
		count(t, h, 0, 2)
		r, again := come(3, 10*time.Second, resume(w, 0))
		if !again.Resumed {
			t.Fatal("the session was not resumed with the third proof")
		}
		r.expect(counted(0, 2)...)
		<-time.After(10*time.Second + time.Minute) // the default SessionTimeout
		synctest.Wait()
		if reason, ended := r.spoke.Reason(); !ended || reason.Code != eventtarget.CodeExpired {
			t.Errorf("nobody came back, and it is ended: %v, %v", ended, reason)
		}
	})
}

// TestExpiredIsNotHeard: what comes over a connection whose proof has ended is not heard, and
// comes again over the next one.
func TestExpiredIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{OnFault: ignore})
		var heard []string
		if _, err := h.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
			heard = append(heard, e.Type)
		}}); err != nil {
			t.Fatal(err)
		}
		lingers := func(c negotiated) link.Conn { return &closesLate{negotiated: c} }
		p, w := openAs(t, h, lingers, hub.Meta{Identity: "ann", Expires: time.Now().Add(time.Second)}, "")
		p.send(`{"type":"a","id":""}`)
		synctest.Wait()
		<-time.After(1100 * time.Millisecond) // the connection is closed, but not yet at its end
		p.send(`{"type":"b","id":""}`)
		synctest.Wait()
		if fmt.Sprint(heard) != "[a]" {
			t.Errorf("heard %v", heard)
		}
		q, again := openAs(t, h, func(c negotiated) link.Conn { return c }, hub.Meta{Identity: "ann"}, resume(w, 0))
		if !again.Resumed || again.Received != 1 {
			t.Fatalf("resuming was welcomed with %+v", again)
		}
		q.send(`{"type":"b","id":""}`)
		synctest.Wait()
		if fmt.Sprint(heard) != "[a b]" {
			t.Errorf("heard %v", heard)
		}
		<-time.After(time.Second) // until the first connection is at its end
	})
}

// TestRenewedWithLess: a session does not go on with a proof that does not allow what it hears,
// which its peer has not asked for anew: that begins with a new one, and hears what it may.
func TestRenewedWithLess(t *testing.T) {
	for _, unasked := range []bool{true, false} {
		t.Run(fmt.Sprintf("unasked %t", unasked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type all struct{}
				h := sessionHub(t, hub.Options{OnFault: ignore, Authorize: func(s *hub.Spoke, op hub.Op, _ eventtarget.Topic) error {
					if s.Value(all{}) == nil {
						return errors.New("not any more")
					}
					return nil
				}})
				come := func(meta hub.Meta, payload string) (*peer, welcome) {
					meta.Identity = "ann"
					return openAs(t, h, func(c negotiated) link.Conn { return c }, meta, payload)
				}
				payload := ""
				if !unasked {
					payload = `,"topics":["n:*"]`
				}
				p, w := come(hub.Meta{Values: map[any]any{all{}: true}, Expires: time.Now().Add(time.Second)}, payload)
				count(t, h, 0, 1)
				p.expect(counted(0, 1)...)
				<-time.After(2 * time.Second)
				count(t, h, 1, 2)
				q, again := come(hub.Meta{}, resume(w, 1))
				count(t, h, 2, 3)
				if q.expect(); again.Resumed {
					t.Error("the session was resumed")
				}
				if r, ended := p.spoke.Reason(); !ended || r.Code != eventtarget.CodeExpired {
					t.Errorf("the old one is ended: %v, %v", ended, r)
				}
			})
		})
	}
}

// TestRenewedWhileClosed: nor does it wait for a reader that there is not if Authorize closes the
// spoke itself.
func TestRenewedWhileClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refuses atomic.Bool
		var once sync.Once
		left := make(chan struct{})
		h := sessionHub(t, hub.Options{
			OnFault:      ignore,
			OnDisconnect: func(*hub.Spoke, eventtarget.Reason) { once.Do(func() { close(left) }) },
			Authorize: func(s *hub.Spoke, _ hub.Op, _ eventtarget.Topic) error {
				if refuses.CompareAndSwap(true, false) {
					s.Close()
					return errors.New("not any more")
				}
				return nil
			},
		})
		p, w := open(t, h, "ann", "")
		p.conn.Cut()
		synctest.Wait()
		refuses.Store(true)
		near, far := link.Pipe()
		_ = near.Send([]byte(`{"type":"__hello","id":"","payload":{"version":1` + resume(w, 0) + `}}`))
		_, _ = h.Attach(negotiated{far}, hub.Meta{Identity: "ann"})
		<-left
		synctest.Wait()
		if _, there := h.Spoke(p.spoke.ID()); there {
			t.Error("the spoke is still there")
		}
		_ = near.Close(eventtarget.Reason{})
		h.Close()
		<-h.Done()
	})
}

// closesLate is a connection whose Close takes effect a second later, as it may.
type closesLate struct {
	negotiated
	once sync.Once
}

func (l *closesLate) Close(r eventtarget.Reason) error {
	l.once.Do(func() { time.AfterFunc(time.Second, func() { _ = l.negotiated.Close(r) }) })
	return nil
}
