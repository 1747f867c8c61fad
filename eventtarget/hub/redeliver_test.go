package hub_test

import (
	"context"
	"errors"
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

// worker is a listener that handles one event whenever it may.
type worker struct {
	may   chan struct{} // closed: as many as there are
	mu    sync.Mutex
	begun []string // "payload", and "payload again" of what is Redelivered
	from  []eventtarget.Peer
}

func (w *worker) handle(_ context.Context, e eventtarget.Event[raw]) {
	w.mu.Lock()
	text := string(e.Payload)
	if e.Redelivered {
		text += " again"
	}
	w.begun, w.from = append(w.begun, text), append(w.from, e.Source)
	w.mu.Unlock()
	<-w.may
}

func (w *worker) take() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.begun = nil }()
	return w.begun
}

// employ adds a worker to a hub, and asks for what another one has left.
func employ(t *testing.T, h *hub.Hub) *worker {
	t.Helper()
	w := &worker{may: make(chan struct{})}
	if _, err := h.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(w.handle)); err != nil {
		t.Fatal(err)
	}
	if err := h.Redeliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func send(p *peer, from, upto int) {
	for n := from; n < upto; n++ {
		p.send(fmt.Sprintf(`{"type":"n","id":"","payload":%d}`, n))
	}
	synctest.Wait()
}

func redelivers(t *testing.T, relay bool) {
	m := &memory{}
	h := storedHub(t, m, hub.Options{Relay: relay})
	w := employ(t, h)
	plain := attach(t, h, hub.Meta{})
	p, _ := open(t, h, "ada", "")
	send(p, 0, 2)
	send(plain, 2, 4)
	w.may <- struct{}{}
	w.may <- struct{}{}
	if got := w.take(); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("heard %q", got)
	}
	if w.from[0] != eventtarget.Peer(p.spoke) {
		t.Errorf("an event comes from %v", w.from[0])
	}
	<-time.After(time.Second) // by then the store knows
	crashed := m.crash()
	close(w.may) // what the dead process goes on to do, nobody will know of

	h = storedHub(t, crashed, hub.Options{Relay: relay})
	w = employ(t, h)
	if got := w.take(); !slices.Equal(got, []string{"2 again"}) || w.from[0] != nil {
		t.Errorf("after the first crash heard %q from %v", got, w.from)
	}
	p, _ = open(t, h, "ada", "")
	send(p, 4, 6)
	w.may <- struct{}{}
	w.may <- struct{}{}
	if got := w.take(); !slices.Equal(got, []string{"3 again", "4"}) {
		t.Errorf("then heard %q", got)
	}
	<-time.After(time.Second)
	crashed = crashed.crash()
	close(w.may)

	h = storedHub(t, crashed, hub.Options{Relay: relay})
	w = employ(t, h)
	close(w.may)
	if got := w.take(); !slices.Equal(got, []string{"4 again", "5 again"}) {
		t.Errorf("after the second crash heard %q", got)
	}
	p, _ = open(t, h, "ada", "")
	send(p, 6, 7)
	if err := h.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.take(); !slices.Equal(got, []string{"6"}) {
		t.Errorf("before Shutdown heard %q", got)
	}
	h = storedHub(t, crashed, hub.Options{Relay: relay})
	if got := employ(t, h).take(); got != nil {
		t.Errorf("after Shutdown heard %q", got)
	}
}

// TestRedeliver: what listeners of a process that died had not finished with, those of
// the next one hear, marked, and nothing else again.
func TestRedeliver(t *testing.T) {
	for _, relay := range []bool{true, false} {
		t.Run(fmt.Sprint("relay ", relay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { redelivers(t, relay) })
		})
	}
}

// TestRedeliverClose: what Close discards is for the next one.
func TestRedeliverClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		w := employ(t, h)
		p, _ := open(t, h, "ada", "")
		send(p, 0, 3)
		h.Close()
		close(w.may)
		<-h.Done()
		w = employ(t, storedHub(t, m, hub.Options{}))
		close(w.may)
		if got := w.take(); !slices.Equal(got, []string{"0 again", "1 again", "2 again"}) {
			t.Errorf("heard %q", got)
		}
	})
}

// TestRedeliverGap: what is beyond the bounds, in events or in bytes, is told.
func TestRedeliverGap(t *testing.T) {
	for _, o := range []hub.Options{{LogEvents: 2}, {LogBytes: 250}} { // each event is one of about 100
		redeliverGap(t, o)
	}
}

func redeliverGap(t *testing.T, o hub.Options) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		w := employ(t, h)
		p, _ := open(t, h, "ada", "")
		send(p, 0, 5)
		m = m.crash()
		close(w.may)
		var gaps []uint64
		o.OnFault = func(f eventtarget.Fault) {
			if f.Kind == eventtarget.FaultGap {
				gaps = append(gaps, f.Count)
			}
		}
		w = employ(t, storedHub(t, m, o))
		close(w.may)
		if got := w.take(); !slices.Equal(got, []string{"3 again", "4 again"}) || !slices.Equal(gaps, []uint64{3}) {
			t.Errorf("heard %q behind the gaps %v", got, gaps)
		}
	})
}

// TestRedeliverInTime: it is an error where it cannot hold.
func TestRedeliverInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		if err := h.Redeliver(t.Context()); err == nil {
			t.Error("a hub without a store delivers again")
		}
		h = storedHub(t, &memory{}, hub.Options{})
		employ(t, h)
		if err := h.Redeliver(t.Context()); err == nil {
			t.Error("a hub delivers again twice")
		}
		h = storedHub(t, &memory{}, hub.Options{})
		attach(t, h, hub.Meta{})
		if err := h.Redeliver(t.Context()); err == nil {
			t.Error("a hub delivers again when there are spokes")
		}
	})
}

// TestRedeliverGoexit: an Inline listener that ends the goroutine is done with the event, and
// the others hear it.
func TestRedeliverGoexit(t *testing.T) {
	for name, on := range map[string]func(h *hub.Hub, s *hub.Spoke) eventtarget.Target{
		"hub":   func(h *hub.Hub, _ *hub.Spoke) eventtarget.Target { return h },
		"spoke": func(_ *hub.Hub, s *hub.Spoke) eventtarget.Target { return s },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				h := storedHub(t, m, hub.Options{})
				w := employ(t, h)
				close(w.may)
				p, q := attach(t, h, hub.Meta{}), attach(t, h, hub.Meta{})
				ends := eventtarget.Listener[raw]{Inline: true, Once: true, Handle: func(context.Context, eventtarget.Event[raw]) { runtime.Goexit() }}
				if _, err := on(h, p.spoke).Add(t.Context(), eventtarget.T("n", "*"), ends); err != nil {
					t.Fatal(err)
				}
				send(p, 0, 1)
				send(q, 1, 2)
				if got := w.take(); !slices.Equal(got, []string{"0", "1"}) {
					t.Errorf("heard %q", got)
				}
				<-time.After(time.Second) // by then the store knows
				h = storedHub(t, m.crash(), hub.Options{})
				w = employ(t, h)
				close(w.may)
				if got := w.take(); len(got) > 0 {
					t.Errorf("heard once more %q", got)
				}
			})
		})
	}
}

// TestRedeliverCancelled: who gives up is told that not everything was delivered.
func TestRedeliverCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		w := employ(t, h)
		defer close(w.may)
		send(attach(t, h, hub.Meta{}), 0, 3)
		<-time.After(time.Second)
		h = storedHub(t, m.crash(), hub.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		first := eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) {
			n++
			cancel()
		}}
		if _, err := h.Add(t.Context(), eventtarget.T("n", "*"), first); err != nil {
			t.Fatal(err)
		}
		if err := h.Redeliver(ctx); !errors.Is(err, context.Canceled) || n != 1 {
			t.Errorf("after %d of 3 events: %v", n, err)
		}
	})
}
