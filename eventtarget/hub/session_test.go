package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// open connects a peer that greets with the rest of a payload behind the version, and
// returns how it was welcomed.
func open(t *testing.T, h *hub.Hub, identity, payload string) (*peer, welcome) {
	t.Helper()
	return openOver(t, h, func(c negotiated) link.Conn { return c }, identity, payload)
}

// openOver is open over what wrap makes of the hub's end.
func openOver(t *testing.T, h *hub.Hub, wrap func(negotiated) link.Conn, identity, payload string) (*peer, welcome) {
	t.Helper()
	return openAs(t, h, wrap, hub.Meta{Identity: identity}, payload)
}

// openAs is openOver for a peer of which more is known.
func openAs(t *testing.T, h *hub.Hub, wrap func(negotiated) link.Conn, meta hub.Meta, payload string) (*peer, welcome) {
	t.Helper()
	near, far := link.Pipe()
	p := &peer{t: t, conn: near, arrived: make(chan struct{}, 1)}
	t.Cleanup(near.Resume)
	p.send(`{"type":"__hello","id":"","payload":{"version":1` + payload + `}}`)
	s, err := h.Attach(wrap(negotiated{far}), meta)
	if err != nil {
		t.Fatal(err)
	}
	p.spoke = s
	go p.read()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.messages) == 0 || p.messages[0].Type != "__welcome" {
		t.Fatalf("greeted, and received %v", p.messages)
	}
	var w welcome
	if err := json.Unmarshal(p.messages[0].Payload, &w); err != nil {
		t.Fatal(err)
	}
	p.messages = p.messages[1:]
	return p, w
}

type welcome struct {
	Session  string
	Resumed  bool
	Received uint64
	Refused  map[string]string
	Place    struct {
		Store string
		Seq   uint64
	}
}

func resume(w welcome, received int) string {
	return fmt.Sprintf(`,"session":%q,"received":%d`, w.Session, received)
}

func (p *peer) ack(n int) {
	p.t.Helper()
	p.send(fmt.Sprintf(`{"type":"__ack","id":"","payload":{"received":%d}}`, n))
	synctest.Wait()
}

// count dispatches events with ids from one number up to another, and counted is what
// is received of them.
func count(t *testing.T, to eventtarget.Target, from, upto int) {
	t.Helper()
	for n := from; n < upto; n++ {
		dispatch(t, to, "n", strconv.Itoa(n), strconv.Itoa(n))
	}
	synctest.Wait()
}

func counted(from, upto int) (all []string) {
	for n := from; n < upto; n++ {
		all = append(all, fmt.Sprintf("n:%d %d", n, n))
	}
	return all
}

func sessionHub(t *testing.T, o hub.Options) *hub.Hub {
	t.Helper()
	o.Heartbeat = -1
	h, err := hub.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func TestSessionResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		p, w := open(t, h, "", "")
		if w.Resumed || w.Session == "" || w.Session == p.spoke.ID() {
			t.Fatalf("a new session was welcomed with %+v", w)
		}
		count(t, h, 0, 4)
		count(t, p.spoke, 4, 6)
		p.expect(counted(0, 6)...)
		p.ack(2)
		p.conn.Cut()
		synctest.Wait()
		if s := p.spoke.State(); s != eventtarget.StateDown {
			t.Fatalf("the spoke of a cut session is %v", s)
		}
		count(t, h, 6, 8)
		count(t, p.spoke, 8, 9)
		q, again := open(t, h, "", resume(w, 3))
		if !again.Resumed || again.Session != w.Session || q.spoke != p.spoke {
			t.Fatalf("resuming was welcomed with %+v", again)
		}
		q.expect(counted(3, 9)...)
		count(t, h, 9, 10)
		q.expect(counted(9, 10)...)
	})
}

// TestSessionDisconnect: a session ends behind what had been dispatched: it waits for that to
// be acknowledged, over another connection if need be, and hears nothing of what follows.
func TestSessionDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		p, w := open(t, h, "", "")
		count(t, h, 0, 3)
		p.spoke.Disconnect(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "enough"})
		count(t, h, 3, 6)
		p.expect(counted(0, 3)...)
		p.conn.Cut()
		synctest.Wait()
		q, again := open(t, h, "", resume(w, 2))
		if !again.Resumed {
			t.Fatalf("resuming was welcomed with %+v", again)
		}
		count(t, h, 6, 9)
		q.expect(counted(2, 3)...)
		q.ack(3)
		if r := q.reason(); r.Code != eventtarget.CodePolicy || r.Text != "enough" {
			t.Errorf("ended with %v", r)
		}
	})
}

// TestSessionBack: a session that is resumed at once, again and again, without an
// acknowledgement in between.
func TestSessionBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		p, w := open(t, h, "", `,"topics":["n:*"]`)
		for n := range 10 {
			count(t, h, n, n+1)
			p.conn.Cut()
			p, _ = open(t, h, "", resume(w, n)+`,"topics":["n:*"]`)
			p.expect(counted(n, n+1)...)
		}
	})
}

// broken is a connection that breaks in the message that says break, which has arrived.
type broken struct{ negotiated }

func (b broken) Send(msg []byte) error {
	err := b.negotiated.Send(msg)
	if strings.Contains(string(msg), "break") {
		return errors.New("reset by peer")
	}
	return err
}

// TestSessionBroken: a peer may have got a message although writing it failed, and then
// gets it once.
func TestSessionBroken(t *testing.T) {
	for name, to := range map[string]func(*hub.Hub, *hub.Spoke) eventtarget.Target{
		"all": func(h *hub.Hub, _ *hub.Spoke) eventtarget.Target { return h },
		"one": func(_ *hub.Hub, s *hub.Spoke) eventtarget.Target { return s },
	} {
		for _, arrived := range []int{2, 3} {
			t.Run(fmt.Sprintf("%s/%d", name, arrived), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := sessionHub(t, hub.Options{})
					p, w := openOver(t, h, func(c negotiated) link.Conn { return broken{c} }, "", "")
					target := to(h, p.spoke)
					count(t, target, 0, 2)
					dispatch(t, target, "n", "break", "2")
					count(t, target, 3, 5)
					q, again := open(t, h, "", resume(w, arrived))
					if !again.Resumed || q.spoke != p.spoke {
						t.Fatalf("resuming was welcomed with %+v", again)
					}
					want := append([]string{"n:break 2"}, counted(3, 5)...)
					q.expect(want[arrived-2:]...)
				})
			})
		}
	}
}

// TestSessionGap: past the log's tail there is one gap with the count, before anything
// else, and messages of the spoke's own are still there.
func TestSessionGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{LogEvents: 80})
		p, w := open(t, h, "", "")
		count(t, h, 0, 10)
		count(t, p.spoke, 1000, 1001)
		p.conn.Cut()
		synctest.Wait()
		count(t, h, 10, 200)
		q, again := open(t, h, "", resume(w, 5))
		if !again.Resumed {
			t.Fatal("the session was not resumed")
		}
		synctest.Wait()
		got := q.take()
		gap := got[0]
		var lost int
		if _, err := fmt.Sscanf(gap, `__gap: {"count":%d}`, &lost); err != nil || got[1] != "n:1000 1000" {
			t.Fatalf("behind the tail: %q, then %q", gap, got[1])
		}
		if first := 5 + lost; strings.Join(got[2:], ",") != strings.Join(counted(first, 200), ",") {
			t.Errorf("a gap of %d events, and then from %q to %q", lost, got[2], got[len(got)-1])
		}
		if st := p.spoke.Stats(); st.Lost != uint64(lost) || st.Gaps != 1 || st.Resumed != 1 {
			t.Errorf("%d were told to be lost: %+v", lost, st)
		}
	})
}

func TestSessionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []eventtarget.Reason
		h := sessionHub(t, hub.Options{
			SessionTimeout: time.Minute,
			OnDisconnect:   func(_ *hub.Spoke, r eventtarget.Reason) { left = append(left, r) },
		})
		p, w := open(t, h, "ann", "")
		p.conn.Cut()
		time.Sleep(time.Minute - time.Second)
		q, again := open(t, h, "ann", resume(w, 0))
		if !again.Resumed {
			t.Fatal("a session ended too soon")
		}
		q.conn.Cut()
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if len(left) != 1 || left[0].Code != eventtarget.CodeLost || h.Len() != 0 {
			t.Fatalf("a session that nobody resumed left as %v; %d spokes", left, h.Len())
		}
		if err := p.spoke.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "n"}); !errors.Is(err, eventtarget.ErrGone) {
			t.Errorf("Dispatch to it: %v", err)
		}
		if _, again := open(t, h, "ann", resume(w, 0)); again.Resumed || again.Session == w.Session {
			t.Error("it was resumed nevertheless")
		}
	})
}

// TestSessionOwner: a session is its subject's alone.
func TestSessionOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		p, w := open(t, h, "ann", "")
		p.conn.Cut()
		if _, other := open(t, h, "bob", resume(w, 0)); other.Resumed {
			t.Error("bob resumed ann's session")
		}
		if _, again := open(t, h, "ann", resume(w, 0)); !again.Resumed {
			t.Error("ann did not get hers")
		}
	})
}

// TestSessionFence: a second connection ends the first, from which nothing is heard
// any more.
func TestSessionFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		heard := 0
		if _, err := h.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[eventtarget.Raw]) { heard++ })); err != nil {
			t.Fatal(err)
		}
		p, w := open(t, h, "", "")
		p.conn.Stall() // so that it does not see that it was ended
		q, again := open(t, h, "", resume(w, 0))
		if !again.Resumed {
			t.Fatal("not resumed")
		}
		_ = p.conn.Send([]byte(`{"type":"late","id":""}`))
		q.send(`{"type":"a","id":""}`)
		synctest.Wait()
		if heard != 1 {
			t.Errorf("heard %d events, want that of the second connection", heard)
		}
		p.conn.Resume()
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if r, ok := errors.AsType[eventtarget.Reason](p.closed); !ok || r.Code != eventtarget.CodePolicy {
			t.Errorf("the first connection was told %v", p.closed)
		}
	})
}

// TestSessionLies: a peer that claims what cannot be gets a new session, or is closed.
func TestSessionLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		p, w := open(t, h, "", "")
		count(t, h, 0, 4)
		synctest.Wait()
		p.ack(3)
		p.conn.Cut()
		if _, again := open(t, h, "", resume(w, 1)); again.Resumed {
			t.Error("resumed before what was acknowledged")
		}
		if q, again := open(t, h, "", resume(w, 99)); again.Resumed {
			synctest.Wait()
			if r, ending := q.spoke.Reason(); !ending || r.Code != eventtarget.CodeProtocol {
				t.Errorf("resumed behind what was sent: %v %v", ending, r)
			}
		}
		near, far := link.Pipe()
		_ = near.Send([]byte(`{"type":"__hello","id":"","payload":{"topics":3}}`))
		if _, err := h.Attach(negotiated{far}, hub.Meta{}); err == nil {
			t.Error("a bad greeting was welcomed")
		}
	})
}

// TestSessionPlain: who negotiates a session and does not open it is plain.
func TestSessionPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{Relay: true})
		near, far := link.Pipe()
		_ = near.Send([]byte(`{"type":"a","id":"first"}`))
		talks, err := h.Attach(negotiated{far}, hub.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		silent, quiet := link.Pipe()
		if _, err := h.Attach(negotiated{quiet}, hub.Meta{}); err != nil || time.Since(began) != 5*time.Second {
			t.Fatalf("a silent peer was attached after %v: %v", time.Since(began), err)
		}
		_ = near.Send([]byte(`{"type":"a","id":"second"}`))
		if msg, err := silent.Receive(); err != nil || string(msg) != `{"type":"a","id":"second"}` {
			t.Errorf("a silent peer received %s, %v", msg, err)
		}
		if n := talks.Stats().Received; n != 2 {
			t.Errorf("%d messages were received of one that speaks first, want 2", n)
		}
	})
}

// TestSessionWindow: no more is sent than the peer can hold, and the rest behind its
// acknowledgement.
func TestSessionWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		p, _ := open(t, h, "", `,"window":100,"topics":["n:*"]`)
		count(t, h, 10, 100)
		synctest.Wait()
		sent := len(p.take())
		if size := len(`{"type":"n","id":"10","payload":10}`); sent*size < 100 || sent*size > 200 {
			t.Fatalf("with a window of 100 bytes %d messages of %d were sent", sent, size)
		}
		for sent < 90 {
			p.ack(sent)
			got := len(p.take())
			if got == 0 {
				t.Fatalf("nothing was sent behind an acknowledgement of %d", sent)
			}
			sent += got
		}
	})
}

// TestSessionFlush: out means acknowledged.
func TestSessionFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		p, _ := open(t, h, "", "")
		count(t, h, 0, 3)
		flushed := make(chan []hub.Flushed, 1)
		go func() {
			all, _ := h.Flush(t.Context())
			flushed <- all
		}()
		p.expect(counted(0, 3)...)
		p.ack(2)
		select {
		case all := <-flushed:
			t.Fatalf("flushed before everything was acknowledged: %v", all)
		default:
		}
		p.ack(3)
		if all := <-flushed; len(all) != 1 || all[0].Outcome != hub.Out {
			t.Errorf("flushed: %v", all)
		}
	})
}

// TestSessionAcks: what the peer sends is acknowledged soon, and told when it is back.
func TestSessionAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{})
		p, w := open(t, h, "", "")
		for range 3 {
			p.send(`{"type":"a","id":""}`)
		}
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["b:*"]}}`) // has no number
		p.expect(`__subscribed:1 {}`)
		time.Sleep(25 * time.Millisecond)
		p.expect(`__ack: {"received":3}`)
		p.send(`{"type":"a","id":""}`)
		synctest.Wait()
		p.conn.Cut()
		_, again := open(t, h, "", resume(w, 1)+`,"topics":["b:*"]`)
		if !again.Resumed || again.Received != 4 {
			t.Errorf("back after 4 events: %+v", again)
		}
	})
}

// TestSessionTopics: what a peer that is back wants is what it then hears.
func TestSessionTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forbidden := errors.New("not this one")
		h := sessionHub(t, hub.Options{Authorize: func(_ *hub.Spoke, op hub.Op, topic eventtarget.Topic) error {
			if op == hub.OpSubscribe && topic.Type == "secret" {
				return forbidden
			}
			return nil
		}})
		p, w := open(t, h, "", `,"topics":["n:1","n:2","secret:*"]`)
		if w.Refused["secret:*"] != forbidden.Error() {
			t.Errorf("refused: %v", w.Refused)
		}
		count(t, h, 0, 4)
		p.expect(counted(1, 3)...)
		p.conn.Cut()
		_ = p
		q, _ := open(t, h, "", resume(w, 2)+`,"topics":["n:2","n:3"]`)
		count(t, h, 0, 4)
		q.expect(counted(2, 4)...)
	})
}
