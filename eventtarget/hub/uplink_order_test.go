package hub_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// hearing adds an Inline listener and returns how many it has heard.
func hearing(t *testing.T, h *hub.Hub, eventType string, also func(eventtarget.Event[raw])) *int {
	t.Helper()
	n := new(int)
	if _, err := h.Add(t.Context(), eventtarget.T(eventType, "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
		*n++
		if also != nil {
			also(e)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	return n
}

// What the store does not take is heard here nevertheless, and counted as not passed on.
func TestUplinkRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		var discarded uint64
		h := newHub(t, hub.Options{Relay: true, Store: m, Heartbeat: -1, OnFault: func(f eventtarget.Fault) {
			if f.Count > 0 {
				discarded += f.Count
			}
		}})
		heard := hearing(t, h, "n", nil)
		p := attach(t, h, hub.Meta{})
		m.mu.Lock()
		m.broken = errors.New("no space left")
		m.mu.Unlock()
		p.sendNumbers(0, 1)
		p.sendNumbers(1, 5) // it has failed by now
		h.Close()
		synctest.Wait()
		if *heard != 5 || discarded != 5 {
			t.Errorf("heard %d, told of %d", *heard, discarded)
		}
	})
}

// A spoke that subscribes to what it has just sent finds that retained: the store is not asked
// out of turn.
func TestUplinkSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{Relay: true, Retain: func(eventtarget.Topic) bool { return true }})
		p := attach(t, h, hub.Meta{})
		free := m.stick()
		p.sendNumbers(1, 2)
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:*"]}}`)
		synctest.Wait()
		close(free)
		synctest.Wait()
		p.expect("__subscribed:1 {}", "n: 1")
	})
}

// What listeners here have heard of a spoke counts when its next event is to be authorized.
func TestUplinkAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{Relay: true, Authorize: func(s *hub.Spoke, op hub.Op, topic eventtarget.Topic) error {
			if op == hub.OpDispatch && topic.Type != "login" && s.Value("in") == nil {
				return errors.New("log in first")
			}
			return nil
		}})
		hearing(t, h, "login", func(e eventtarget.Event[raw]) { e.Source.(*hub.Spoke).SetValue("in", true) })
		heard := hearing(t, h, "n", nil)
		p := attach(t, h, hub.Meta{})
		free := m.stick()
		p.send(`{"type":"login","id":"","payload":1}`)
		p.sendNumbers(0, 3)
		close(free)
		synctest.Wait()
		if *heard != 3 {
			t.Errorf("heard %d of 3", *heard)
		}
	})
}

// What is refused has its number behind what the store has not answered for: any hub knows how
// much was received.
func TestUplinkCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		c := &counter{stuckStore: stuckStore{sharedStore: log.Open()}}
		h := newHub(t, hub.Options{Heartbeat: -1, Relay: true, Store: c, Authorize: func(_ *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
			if topic.Type == "x" {
				return errors.New("no")
			}
			return nil
		}})
		p, w := open(t, h, "", `,"topics":[]`)
		goOn := c.stop()
		p.sendNumbers(0, 5)
		p.send(`{"type":"x","id":"","payload":1}`)
		synctest.Wait()
		goOn()
		synctest.Wait()
		if _, again := open(t, sharing(t, log, hub.Options{}), "", resumeAt(w, 0, w.Place.Seq)); again.Received != 6 {
			t.Errorf("another hub has received %d of 6", again.Received)
		}
	})
}

// Where the journal is full, one event of each spoke waits for room in it.
func TestUplinkLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{Relay: true, LogEvents: 10})
		free := m.stick()
		const spokes = 20
		var all []*peer
		for range spokes {
			p := attach(t, h, hub.Meta{})
			go func() {
				for range 100 {
					_ = p.conn.Send([]byte(`{"type":"n","id":"","payload":1}`)) // it falls off so small a log in the end
				}
			}()
			all = append(all, p)
		}
		synctest.Wait()
		n := uint64(0)
		for _, p := range all {
			n += p.spoke.Stats().Received
		}
		if most := uint64(10 + 2*spokes); n > most { // one is in its reader's hand
			t.Errorf("%d events are held, want %d at most", n, most)
		}
		close(free)
		synctest.Wait()
	})
}

// A listener with Block that does not return does not keep a spoke that was closed.
func TestUplinkBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := storedHub(t, &memory{}, hub.Options{Relay: true})
		free := make(chan struct{})
		defer close(free)
		if _, err := h.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Listener[raw]{Queue: 1, Overflow: eventtarget.Block, Handle: func(context.Context, eventtarget.Event[raw]) { <-free }}); err != nil {
			t.Fatal(err)
		}
		p := attach(t, h, hub.Meta{})
		p.sendNumbers(0, 5)
		p.spoke.Close()
		late := time.After(time.Minute)
		select {
		case <-p.spoke.Done():
		case <-late:
			t.Error("the spoke is still there")
		}
	})
}
