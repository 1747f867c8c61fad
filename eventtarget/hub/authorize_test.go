package hub_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestAuthorizePanics: what a peer asks for does not end the process: it is refused, and told.
func TestAuthorizePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := make(chan eventtarget.Fault, 9)
		h := newHub(t, hub.Options{
			Heartbeat: -1, Relay: true, OnFault: func(f eventtarget.Fault) { faults <- f },
			Authorize: func(_ *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
				if topic.Type == "bad" {
					panic("what is that?")
				}
				return nil
			},
		})
		defer h.Close()
		other, p := attach(t, h, hub.Meta{}), attach(t, h, hub.Meta{ID: "ann"})
		p.send(`{"type":"bad","id":"","payload":1}`)
		p.send(`{"type":"good","id":"","payload":2}`)
		synctest.Wait()
		other.expect("good: 2")
		if f := <-faults; f.Kind != eventtarget.FaultPanic || f.Peer != "ann" || !strings.Contains(f.Error(), "Authorize panicked: what is that?") {
			t.Error(f)
		}
		for _, m := range p.take() {
			if strings.Contains(m, "what is that") {
				t.Errorf("the peer is told %s", m)
			}
		}
	})
}

// TestRefusedAgain: who asks again for what it hears, and may not have it any more, hears it no
// longer.
func TestRefusedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var forbidden atomic.Bool
		h := newHub(t, hub.Options{Heartbeat: -1, Authorize: func(*hub.Spoke, hub.Op, eventtarget.Topic) error {
			if forbidden.Load() {
				return errors.New("not any more")
			}
			return nil
		}})
		defer h.Close()
		p := attach(t, h, hub.Meta{})
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["a:"]}}`)
		synctest.Wait()
		p.expect("__subscribed:1 {}")
		forbidden.Store(true)
		p.send(`{"type":"__subscribe","id":"2","payload":{"topics":["a:"]}}`)
		synctest.Wait()
		p.expect(`__subscribed:2 {"refused":{"a:":"not any more"}}`)
		if err := h.Dispatch(t.Context(), event("a", "", "1")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		p.expect()
	})
}
