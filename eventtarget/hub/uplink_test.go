package hub_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// counter is a store that counts its writes, and the records in the largest one.
type counter struct {
	stuckStore
	writes, most atomic.Int32
}

func (c *counter) Append(records []hub.Record) error {
	c.writes.Add(1)
	c.most.Store(max(c.most.Load(), int32(len(records))))
	return c.stuckStore.Append(records)
}

// storing is a hub with a log that may be stuck, and what its listener of n:* hears.
func storing(t *testing.T, log *sharedLog, o hub.Options) (h *hub.Hub, c *counter, heard func() []string) {
	t.Helper()
	c = &counter{stuckStore: stuckStore{sharedStore: log.Open()}}
	o.Heartbeat, o.Relay, o.Store = -1, true, c
	h = newHub(t, o)
	var mu sync.Mutex
	var all []string
	if _, err := h.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, string(e.Payload))
	}}); err != nil {
		t.Fatal(err)
	}
	return h, c, func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// stop makes the store wait until go on is called.
func (c *counter) stop() (goOn func()) {
	busy := make(chan struct{})
	c.busy.Store(&busy)
	return func() {
		c.busy.Store(nil)
		close(busy)
	}
}

func (p *peer) sendNumbers(from, upto int) {
	p.t.Helper()
	for n := from; n < upto; n++ {
		p.send(fmt.Sprintf(`{"type":"n","id":"","payload":%d}`, n))
	}
	synctest.Wait()
}

// The store gets together what one spoke sends while it is busy, all is heard in order, and
// any hub knows how much was received.
func TestUplinkGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		h, c, heard := storing(t, log, hub.Options{})
		other, _ := open(t, h, "", `,"topics":["n:*"]`)
		p, w := open(t, h, "", "")
		goOn := c.stop()
		before := c.writes.Load()
		const events = 100
		p.sendNumbers(0, events)
		if got := heard(); len(got) > 0 {
			t.Errorf("heard before the store has it: %v", got)
		}
		goOn()
		if got := heard(); !slices.Equal(got, upto(events)) {
			t.Errorf("heard %v", got)
		}
		var want []string
		for _, n := range upto(events) {
			want = append(want, "n: "+n)
		}
		other.expect(want...)
		if n := c.writes.Load() - before; n > 3 {
			t.Errorf("%d writes to the store", n)
		}
		if _, again := open(t, sharing(t, log, hub.Options{}), "", resumeAt(w, 0, w.Place.Seq)); again.Received != events {
			t.Errorf("another hub has received %d", again.Received)
		}
	})
}

// A peer that comes back while the store has not answered finds all that it has sent
// received, and nothing is heard twice.
func TestUplinkResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, c, heard := storing(t, hublog.New(), hub.Options{})
		p, w := open(t, h, "", "")
		goOn := c.stop()
		p.sendNumbers(0, 5)
		p.conn.Cut()
		synctest.Wait()
		back := make(chan uint64)
		go func() {
			_, again := open(t, h, "", resume(w, 0))
			back <- again.Received
		}()
		synctest.Wait()
		goOn()
		if n := <-back; n != 5 {
			t.Errorf("%d of 5 are received", n)
		}
		if got := heard(); !slices.Equal(got, upto(5)) {
			t.Errorf("heard %v", got)
		}
	})
}

// What a spoke has sent is heard although it ends, or sends nonsense, before the store has
// answered, and before it is gone; but not when it was closed here.
func TestUplinkEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(p *peer)
		want int
	}{
		"closed":   {func(p *peer) { p.spoke.Close() }, 0},
		"nonsense": {func(p *peer) { p.send("{") }, 5},
		"cut":      {func(p *peer) { p.conn.Cut() }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, store, heard := storing(t, hublog.New(), hub.Options{})
				other, _ := open(t, h, "", `,"topics":["n:*"]`)
				p := attach(t, h, hub.Meta{})
				own := 0
				if _, err := p.spoke.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { own++ }}); err != nil {
					t.Fatal(err)
				}
				goOn := store.stop()
				p.sendNumbers(0, 5)
				c.end(p)
				synctest.Wait()
				select {
				case <-p.spoke.Done():
					t.Error("gone before the store has answered")
				default:
				}
				goOn()
				<-p.spoke.Done()
				if got := heard(); !slices.Equal(got, upto(c.want)) || own != c.want {
					t.Errorf("heard %v, and %d on the spoke", got, own)
				}
				other.expect("n: 0", "n: 1", "n: 2", "n: 3", "n: 4")
			})
		})
	}
}

// A hub that is closed tells what the store has not answered for: of plain spokes, since a
// session sends it again.
func TestUplinkClosed(t *testing.T) {
	for name, c := range map[string]struct {
		session bool
		want    uint64
	}{"plain": {false, 6}, "session": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told atomic.Uint64
				h, store, _ := storing(t, hublog.New(), hub.Options{OnFault: func(f eventtarget.Fault) {
					if f.Kind == eventtarget.FaultDiscarded {
						told.Add(f.Count)
					}
				}})
				goOn := store.stop()
				var p *peer
				if c.session {
					p, _ = open(t, h, "", "")
				} else {
					p = attach(t, h, hub.Meta{})
				}
				p.sendNumbers(0, 1)
				p.sendNumbers(1, 6) // wait behind what the store has in hand
				_ = h.Close()
				goOn()
				<-h.Done()
				if n := told.Load(); n != c.want {
					t.Errorf("%d of %d are told", n, c.want)
				}
			})
		})
	}
}

// What a session sent to a hub that it has left before the log had it, its peer sends again:
// it is heard once.
func TestUplinkMovesAway(t *testing.T) {
	for name, o := range map[string]hub.Options{"at once": {}, "one by one": {Bridged: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := hublog.New()
				a, c, heard := storing(t, log, o)
				b := sharing(t, log, o)
				p, w := open(t, a, "", "")
				goOn := c.stop()
				p.sendNumbers(0, 5)
				q, again := open(t, b, "", resumeAt(w, 0, w.Place.Seq))
				if !again.Resumed || again.Received != 0 {
					t.Fatalf("resumed %t, received %d", again.Resumed, again.Received)
				}
				goOn()
				q.sendNumbers(0, 5)
				if got := heard(); !slices.Equal(got, upto(5)) {
					t.Errorf("heard %v", got)
				}
			})
		})
	}
}

// What a session sent to a hub that it has left, and the log had by then, its peer does not send
// again: it is heard, also where a listener is behind.
func TestUplinkMovesAwayBehind(t *testing.T) {
	for name, o := range map[string]hub.Options{"at once": {}, "one by one": {Bridged: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := hublog.New()
				a, _, heard := storing(t, log, o)
				b := sharing(t, log, o)
				gate := make(chan struct{})
				if _, err := a.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { <-gate }}); err != nil {
					t.Fatal(err)
				}
				p, w := open(t, a, "", "")
				p.sendNumbers(0, 5)
				q, again := open(t, b, "", resumeAt(w, 0, w.Place.Seq))
				if !again.Resumed {
					t.Fatalf("welcomed with %+v", again)
				}
				close(gate)
				q.sendNumbers(int(again.Received), 7)
				if got := heard(); !slices.Equal(got, upto(7)) {
					t.Errorf("%d were received, and heard are %v", again.Received, got)
				}
			})
		})
	}
}

// An Inline listener that ends its goroutine ends the spoke, and the others miss nothing of
// what that had sent.
func TestUplinkGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, c, heard := storing(t, hublog.New(), hub.Options{})
		hearing(t, h, "n", func(e eventtarget.Event[raw]) {
			if string(e.Payload) == "1" {
				runtime.Goexit()
			}
		})
		other, _ := open(t, h, "", `,"topics":["n:*"]`)
		p, _ := open(t, h, "", "")
		goOn := c.stop()
		p.sendNumbers(0, 5)
		goOn()
		<-p.spoke.Done()
		if got := heard(); !slices.Equal(got, upto(2)) {
			t.Errorf("heard %v", got)
		}
		other.expect("n: 0", "n: 1", "n: 2", "n: 3", "n: 4")
	})
}

// A peer that does not stop fills the room that there is for it, and no more.
func TestUplinkFull(t *testing.T) {
	for name, c := range map[string]struct {
		spokeBytes, payload int
		most                int32
	}{
		"events": {1 << 20, 3, 256},
		"bytes":  {64 << 10, 8 << 10, 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, store, heard := storing(t, hublog.New(), hub.Options{SpokeBytes: c.spokeBytes})
				p, _ := open(t, h, "", "")
				goOn := store.stop()
				sent := make(chan struct{})
				const events = 2000
				go func() {
					defer close(sent)
					for range events {
						p.send(`{"type":"n","id":"","payload":"` + strings.Repeat("x", c.payload) + `"}`)
					}
				}()
				synctest.Wait()
				goOn()
				<-sent
				if n := len(heard()); n != events {
					t.Errorf("heard %d", n)
				}
				if n := store.most.Load(); n > c.most || n < c.most/2 {
					t.Errorf("%d at once, want %d at most", n, c.most)
				}
			})
		})
	}
}
