package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

type raw = eventtarget.Raw

func event(eventType, id, payload string) eventtarget.Event[raw] {
	return eventtarget.Event[raw]{Type: eventType, ID: id, Payload: raw(payload)}
}

// heard collects what a listener hears.
type heard struct {
	mu     sync.Mutex
	events []eventtarget.Event[raw]
}

func (h *heard) handle(_ context.Context, e eventtarget.Event[raw]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

func (h *heard) payloads() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, e := range h.events {
		all = append(all, string(e.Payload))
	}
	return all
}

func listen(t *testing.T, target eventtarget.Target, topic string) *heard {
	t.Helper()
	h := &heard{}
	selector, err := eventtarget.ParseTopic(topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.Add(t.Context(), selector, eventtarget.Func(h.handle)); err != nil {
		t.Fatal(err)
	}
	return h
}

func newHub(t *testing.T, o hub.Options) *hub.Hub {
	t.Helper()
	if o.OnFault == nil {
		o.OnFault = func(eventtarget.Fault) {}
	}
	if o.Sweepers == 0 { // more than a machine with two processors would have
		o.Sweepers = 2
	}
	h, err := hub.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(); <-h.Done() })
	return h
}

// join connects a link to the hub over a pipe and returns both ends' views.
func join(t *testing.T, h *hub.Hub, id string) (*link.Link, *hub.Spoke, *link.PipeConn) {
	t.Helper()
	near, far := link.Pipe()
	l, err := link.New(link.Options{Conn: near, OnFault: func(eventtarget.Fault) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); <-l.Done() })
	s, err := h.Attach(far, hub.Meta{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return l, s, near
}

func TestFanOutAndAggregate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		all := listen(t, h, "*")
		var spokes []*heard
		var links []*link.Link
		for i := range 5 {
			l, _, _ := join(t, h, strconv.Itoa(i))
			links = append(links, l)
			spokes = append(spokes, listen(t, l, "chat:*"))
		}
		for i := range 100 {
			if err := h.Dispatch(t.Context(), event("chat", "lobby", strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		for i, l := range links {
			if err := l.Dispatch(t.Context(), event("hello", "", strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i, s := range spokes {
			if got := s.payloads(); len(got) != 100 || !isCounting(got) {
				t.Errorf("spoke %d heard %d events: %v", i, len(got), got)
			}
		}
		got := all.payloads()
		slices.Sort(got)
		if fmt.Sprint(got) != "[0 1 2 3 4]" {
			t.Errorf("the hub heard %v", got)
		}
	})
}

func isCounting(payloads []string) bool {
	for i, p := range payloads {
		if p != strconv.Itoa(i) {
			return false
		}
	}
	return true
}

func TestOneOrderForBroadcastAndSingle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		l, s, _ := join(t, h, "a")
		other, _, _ := join(t, h, "b")
		got, gotOther := listen(t, l, "*"), listen(t, other, "*")
		for i := range 1000 {
			target := eventtarget.Target(h)
			if i%3 == 0 {
				target = s
			}
			if err := target.Dispatch(t.Context(), event("n", "", strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if p := got.payloads(); len(p) != 1000 || !isCounting(p) {
			t.Errorf("out of order: %v", p)
		}
		if n := len(gotOther.payloads()); n != 666 {
			t.Errorf("the other spoke heard %d, want 666", n)
		}
	})
}

func TestRelayDoesNotEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Relay: true})
		a, _, _ := join(t, h, "a")
		b, _, _ := join(t, h, "b")
		c, _, _ := join(t, h, "c")
		ha, hb, hc := listen(t, a, "*"), listen(t, b, "*"), listen(t, c, "*")
		for i := range 500 {
			for n, l := range []*link.Link{a, b} {
				if err := l.Dispatch(t.Context(), event("n", strconv.Itoa(n), strconv.Itoa(i))); err != nil {
					t.Fatal(err)
				}
			}
			if i%10 == 0 {
				if err := h.Dispatch(t.Context(), event("h", "", strconv.Itoa(i))); err != nil {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait()
		for name, want := range map[string]struct {
			heard *heard
			n     int
		}{"a": {ha, 550}, "b": {hb, 550}, "c": {hc, 1050}} {
			if n := len(want.heard.payloads()); n != want.n {
				t.Errorf("%s heard %d, want %d", name, n, want.n)
			}
		}
		for _, e := range ha.events {
			if e.Type == "n" && e.ID == "0" {
				t.Fatal("a hears itself")
			}
		}
	})
}

func TestConnectPreludeThenLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *hub.Hub
		var order []string
		h = newHub(t, hub.Options{
			OnConnect: func(s *hub.Spoke) {
				order = append(order, "connect "+s.ID())
				for i := range 3 {
					if err := h.Dispatch(t.Context(), event("n", "", strconv.Itoa(3+i))); err != nil {
						t.Error(err)
					}
					if err := s.Dispatch(t.Context(), event("n", "", strconv.Itoa(i))); err != nil {
						t.Error(err)
					}
				}
			},
			OnDisconnect: func(s *hub.Spoke, r eventtarget.Reason) {
				order = append(order, fmt.Sprint("disconnect ", s.ID(), " ", r.Code))
			},
		})
		p := attach(t, h, hub.Meta{ID: "a"})
		s := p.spoke
		synctest.Wait()
		if err := h.Dispatch(t.Context(), event("n", "", "6")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.expect(numbers(0, 7)...)
		_ = p.conn.Close(eventtarget.Reason{})
		synctest.Wait()
		if h.Len() != 0 {
			t.Error("the spoke has not left")
		}
		if fmt.Sprint(order) != "[connect a disconnect a normal]" {
			t.Errorf("order: %v", order)
		}
		err := s.Dispatch(t.Context(), event("n", "", "7"))
		if !errors.Is(err, eventtarget.ErrGone) {
			t.Errorf("dispatch to a spoke that is gone: %v", err)
		}
		if _, err := s.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Func(new(heard).handle)); !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("add on a spoke that is gone: %v", err)
		}
	})
}

func TestDisconnectStandsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		near, far := link.Pipe()
		s, err := h.Attach(far, hub.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 { // more than the pipe holds
			if err := h.Dispatch(t.Context(), event("n", "", strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		s.Disconnect(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "enough"})
		n := 0
		for ; ; n++ {
			_, err = near.Receive()
			if err != nil {
				break
			}
		}
		if r, ok := errors.AsType[eventtarget.Reason](err); n != 200 || !ok || r.Code != eventtarget.CodePolicy || r.Text != "enough" || !r.Remote {
			t.Errorf("after %d messages: %v", n, err)
		}
	})
}

func TestStalledSpoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var faults []eventtarget.Fault
		h := newHub(t, hub.Options{
			LogBytes: 64 << 10,
			OnFault: func(f eventtarget.Fault) {
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, f)
			},
		})
		healthy, _, _ := join(t, h, "healthy")
		_, _, end := join(t, h, "stalled")
		got := listen(t, healthy, "*")
		end.Stall()
		begin := time.Now()
		payload := `"` + string(make([]byte, 0)) + fmt.Sprintf("%0100d", 0) + `"`
		for n := range 10_000 {
			if err := h.Dispatch(t.Context(), event("n", "", payload)); err != nil {
				t.Fatal(err)
			}
			if n%100 == 0 { // so that a slow machine makes nobody else slow
				synctest.Wait()
			}
		}
		synctest.Wait()
		if waited := time.Since(begin); waited > 2*time.Second {
			t.Errorf("one stalled spoke held Dispatch up for %v", waited)
		}
		if n := len(got.payloads()); n != 10_000 {
			t.Errorf("the healthy spoke heard %d of 10000", n)
		}
		time.Sleep(10 * time.Second) // of the bubble's time: past the write timeout
		synctest.Wait()
		if h.Len() != 1 {
			t.Errorf("%d spokes are left, want 1", h.Len())
		}
		mu.Lock()
		defer mu.Unlock()
		if len(faults) != 1 || faults[0].Peer != "stalled" || faults[0].Count == 0 {
			t.Errorf("faults: %v", faults)
		}
	})
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: time.Second})
		_, alive, _ := join(t, h, "alive")
		_, dead, end := join(t, h, "dead")
		end.Stall()
		begin := time.Now()
		<-dead.Done()
		if d := time.Since(begin); d > 4*time.Second {
			t.Errorf("noticed after %v", d)
		}
		if r, _ := dead.Reason(); r.Code != eventtarget.CodeTimeout {
			t.Errorf("reason %v", r)
		}
		time.Sleep(time.Minute)
		if _, ended := alive.Reason(); ended {
			t.Error("a spoke that answers was taken for dead")
		}
	})
}

func TestShutdownDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		var all []*heard
		for i := range 10 {
			l, _, _ := join(t, h, strconv.Itoa(i))
			all = append(all, listen(t, l, "*"))
		}
		for i := range 5000 {
			if err := h.Dispatch(t.Context(), event("n", "", strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for i, got := range all {
			if p := got.payloads(); len(p) != 5000 || !isCounting(p) {
				t.Errorf("spoke %d heard %d", i, len(p))
			}
		}
		if err := h.Dispatch(t.Context(), event("n", "", "0")); !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("dispatch after Shutdown: %v", err)
		}
		if _, err := h.Attach(nopConn{}, hub.Meta{}); !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("attach after Shutdown: %v", err)
		}
	})
}

type nopConn struct{}

func (nopConn) Send([]byte) error              { return nil }
func (nopConn) Receive() ([]byte, error)       { return nil, errors.New("closed") }
func (nopConn) Close(eventtarget.Reason) error { return nil }
