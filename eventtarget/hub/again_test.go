package hub_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// narrow is a connection that takes some messages, and then none until it is free.
type narrow struct {
	negotiated
	room *atomic.Int32
	free chan struct{}
}

func newNarrow(room int32) (n narrow) {
	n.room, n.free = new(atomic.Int32), make(chan struct{})
	n.room.Store(room)
	return n
}

// over is a hub's end of a connection, behind which it stands.
func (h narrow) over(c negotiated) link.Conn {
	h.negotiated = c
	return h
}

func (h narrow) Send(msg []byte) error {
	if h.room.Add(-1) < 0 {
		<-h.free
	}
	return h.negotiated.Send(msg)
}

// TestAgainLost: what was to be sent again, and leaves the log before that has happened, is
// told as a gap.
func TestAgainLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{LogEvents: 256, Overflow: eventtarget.DropOldest, WriteTimeout: time.Hour})
		p, w := open(t, h, "", "")
		const before, events = 200, 2000
		count(t, h, 0, before)
		p.conn.Cut()
		synctest.Wait()
		way := newNarrow(5)
		p, _ = openOver(t, h, way.over, "", resume(w, 0))
		count(t, h, before, events)
		close(way.free)
		synctest.Wait()
		heard, lost := 0, 0
		for _, m := range p.take() {
			var n int
			if _, err := fmt.Sscanf(m, `__gap: {"count":%d}`, &n); err == nil {
				lost += n
			} else {
				heard++
			}
		}
		if lost == 0 || heard+lost != events {
			t.Errorf("heard %d and told of %d, of %d", heard, lost, events)
		}
	})
}

// TestAcknowledgedMeanwhile: what arrives while an acknowledgement is being written is
// acknowledged, too.
func TestAcknowledgedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{WriteTimeout: time.Hour})
		way := newNarrow(1) // for the welcome
		p, _ := openOver(t, h, way.over, "", "")
		for range 2 {
			p.send(`{"type":"a","id":""}`)
			time.Sleep(time.Second) // of the bubble's time
		}
		close(way.free)
		time.Sleep(time.Second)
		p.expect(`__ack: {"received":1}`, `__ack: {"received":2}`)
	})
}
