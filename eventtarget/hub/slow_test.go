package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// pipeHolds is more than what a pipe and the hub's writer hold of a stalled peer.
const pipeHolds = 100

// numbers returns "n: from" to "n: to-1".
func numbers(from, to int) (all []string) {
	for n := from; n < to; n++ {
		all = append(all, fmt.Sprintf("n: %d", n))
	}
	return all
}

// TestDropOldest: a spoke that falls off the log, or over the bounds of its inbox,
// hears a gap with the exact count and goes on (laws D03, D04), also at a hub that waits for
// the others.
func TestDropOldest(t *testing.T) {
	for _, c := range []struct {
		subscribed bool
		others     eventtarget.Overflow
	}{
		{false, eventtarget.Disconnect}, {true, eventtarget.Disconnect},
		{false, eventtarget.Block}, {true, eventtarget.Block},
	} {
		t.Run(fmt.Sprintf("subscribed=%v, others %v", c.subscribed, c.others), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, hub.Options{Overflow: c.others, LogEvents: 256, SpokeEvents: 256, LogBytes: 1 << 12, WriteTimeout: time.Hour, Heartbeat: -1,
					OnConnect: func(s *hub.Spoke) {
						if s.ID() == "slow" {
							if err := s.SetOverflow(eventtarget.DropOldest); err != nil {
								t.Error(err)
							}
						}
					}})
				slow, other := attach(t, h, hub.Meta{ID: "slow"}), attach(t, h, hub.Meta{ID: "other"})
				if c.subscribed {
					slow.subscribe("n:*")
				}
				slow.conn.Stall()
				const events = 2000
				for n := range events {
					dispatch(t, h, "n", "", fmt.Sprint(n))
				}
				other.expect(numbers(0, events)...)
				st := slow.spoke.Stats()
				slow.conn.Resume()
				synctest.Wait()
				got := slow.take()
				at := slices.IndexFunc(got, func(m string) bool { return m[:2] == "__" })
				if at < 0 {
					t.Fatalf("%d messages and no gap", len(got))
				}
				lost := events - (len(got) - 1)
				want := slices.Concat(numbers(0, at), []string{fmt.Sprintf(`__gap: {"count":%d}`, lost)}, numbers(at+lost, events))
				if !slices.Equal(got, want) {
					t.Errorf("got %d messages, %q at %d, want a gap of %d and the rest", len(got), got[at], at, lost)
				}
				if after := slow.spoke.Stats(); after.Lost != uint64(lost) || after.Gaps != 1 || after.Resumed != 0 || after.Waiting != 0 || st.Waiting == 0 {
					t.Errorf("stats: %+v while stalled, %+v after", st, after)
				}
				dispatch(t, h, "n", "", "9")
				slow.expect("n: 9")
			})
		})
	}
}

// TestConflate: what waits is the last of each topic, in order, whoever dispatched it.
func TestConflate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Overflow: eventtarget.Conflate, WriteTimeout: time.Hour, Heartbeat: -1})
		p := attach(t, h, hub.Meta{ID: "p"})
		for n := range 2 { // nothing waits, so nothing is lost
			dispatch(t, h, "n", "", fmt.Sprint(n))
			p.expect(fmt.Sprintf("n: %d", n))
		}
		p.conn.Stall()
		for n := range pipeHolds {
			dispatch(t, h, "fill", fmt.Sprint(n), "0")
			synctest.Wait()
		}
		for n := range 1000 {
			dispatch(t, h, "a", "", fmt.Sprint(n))
			dispatch(t, h, "b", fmt.Sprint(n%2), fmt.Sprint(n))
			dispatch(t, p.spoke, "c", "", fmt.Sprint(n))
		}
		if st := p.spoke.Stats(); st.Conflated != 999+998+999 || st.Waiting > 2*pipeHolds {
			t.Errorf("%+v", st)
		}
		p.conn.Resume()
		synctest.Wait()
		if got := p.take(); len(got) != pipeHolds+4 || !slices.Equal(got[pipeHolds:], []string{"b:0 998", "a: 999", "b:1 999", "c: 999"}) {
			t.Errorf("got %d messages, at the end %q", len(got), got[max(0, len(got)-4):])
		}
	})
}

// TestConflateWhileWriting: a message may be superseded while the writer is about to
// take it.
func TestConflateWhileWriting(t *testing.T) {
	h := newHub(t, hub.Options{Overflow: eventtarget.Conflate, Heartbeat: -1})
	p := attach(t, h, hub.Meta{ID: "p"})
	const events = 20_000
	for n := range events {
		dispatch(t, p.spoke, "n", "", fmt.Sprint(n))
	}
	for last := ""; last != fmt.Sprintf("n: %d", events-1); {
		p.await(1)
		got := p.take()
		last = got[len(got)-1]
	}
}

// TestDropOldestButSkipped: what was not for a spoke is not among what it has lost.
func TestDropOldestButSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{LogEvents: 256, Overflow: eventtarget.DropOldest, WriteTimeout: time.Hour, Heartbeat: -1})
		slow := attach(t, h, hub.Meta{})
		slow.conn.Stall()
		const events, skipped = 2000, 7 // every seventh
		want := 0
		for n := range events {
			var err error
			if e := event("n", "", fmt.Sprint(n)); n%skipped == 0 {
				err = h.DispatchExcept(t.Context(), e, slow.spoke)
			} else {
				err = h.Dispatch(t.Context(), e)
				want++
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		slow.conn.Resume()
		synctest.Wait()
		heard, lost := 0, 0
		for _, m := range slow.take() {
			if _, err := fmt.Sscanf(m, `__gap: {"count":%d}`, &lost); err != nil {
				heard++
			}
		}
		if lost == 0 || heard+lost != want {
			t.Errorf("heard %d and told of %d, of %d", heard, lost, want)
		}
	})
}

// TestBlock: Dispatch waits for the slowest spoke, and everything arrives (law D05).
func TestBlock(t *testing.T) {
	for _, subscribed := range []bool{false, true} {
		t.Run(fmt.Sprintf("subscribed=%v", subscribed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, hub.Options{Overflow: eventtarget.Block, LogEvents: 128, SpokeEvents: 128, WriteTimeout: time.Hour, Heartbeat: -1})
				p := attach(t, h, hub.Meta{ID: "p"})
				if subscribed {
					p.subscribe("n:*")
				}
				p.conn.Stall()
				const events = 2000
				done := make(chan struct{})
				go func() {
					defer close(done)
					for n := range events {
						dispatch(t, h, "n", "", fmt.Sprint(n))
					}
				}()
				time.Sleep(time.Minute) // of the bubble's time
				synctest.Wait()
				select {
				case <-done:
					t.Error("nobody waited")
				default:
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := h.Dispatch(ctx, event("n", "", "x")); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				p.conn.Resume()
				<-done
				p.expect(numbers(0, events)...)
			})
		})
	}
}

// TestBlockMany: as many as there are wait for the slowest spoke, and it gets everything.
func TestBlockMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Overflow: eventtarget.Block, SpokeEvents: 128, WriteTimeout: time.Hour, Heartbeat: -1})
		p := attach(t, h, hub.Meta{})
		p.subscribe("n:*")
		p.conn.Stall()
		for range pipeHolds { // one by one, so that the writer holds no more than that
			dispatch(t, h, "n", "", "0")
			synctest.Wait()
		}
		const dispatchers, each = 20, 50
		var all sync.WaitGroup
		for range dispatchers {
			all.Go(func() {
				for range each {
					dispatch(t, h, "n", "", "0")
				}
			})
		}
		synctest.Wait()
		if st := p.spoke.Stats(); st.Waiting > 128+dispatchers+pipeHolds {
			t.Errorf("%d events wait", st.Waiting)
		}
		p.conn.Resume()
		all.Wait()
		synctest.Wait()
		if got := len(p.take()); got != pipeHolds+dispatchers*each {
			t.Errorf("it got %d of %d", got, pipeHolds+dispatchers*each)
		}
	})
}

// TestBlockAcknowledged: a session that is waited for has to acknowledge something within
// WriteTimeout, and need not acknowledge everything.
func TestBlockAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Overflow: eventtarget.Block, WriteTimeout: time.Second, Heartbeat: -1})
		p, _ := open(t, h, "", `,"window":1000`)
		count(t, h, 0, 200)
		for n := range 10 {
			time.Sleep(900 * time.Millisecond) // of the bubble's time
			p.ack(n + 1)
		}
		synctest.Wait()
		if reason, gone := p.spoke.Reason(); gone {
			t.Fatalf("it was ended: %v", reason)
		}
		time.Sleep(2 * time.Second)
		if r := p.reason(); r.Code != eventtarget.CodeSlow {
			t.Errorf("closed with %v", r)
		}
	})
}

// TestBlockDown: nobody waits for a spoke that has no connection.
func TestBlockDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Overflow: eventtarget.Block, LogEvents: 128, WriteTimeout: time.Hour, Heartbeat: -1, OnFault: func(eventtarget.Fault) {}})
		p, _ := open(t, h, "", "")
		p.conn.Stall()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range 1000 {
				dispatch(t, h, "n", "", fmt.Sprint(n))
			}
		}()
		time.Sleep(time.Minute) // of the bubble's time
		select {
		case <-done:
			t.Error("nobody waited")
		default:
		}
		p.conn.Cut()
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("somebody waits for a spoke that is down")
			h.Close()
			<-done
		}
	})
}

// TestInboxBounds: too much for one spoke alone ends it, by its own bound or by the
// hub's, and costs nobody else anything.
func TestInboxBounds(t *testing.T) {
	for name, o := range map[string]hub.Options{
		"events": {SpokeEvents: 200},
		"bytes":  {SpokeBytes: 10_000},
		"hub":    {InboxBytes: 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o.WriteTimeout, o.Heartbeat = time.Hour, -1
				h := newHub(t, o)
				slow, other := attach(t, h, hub.Meta{ID: "slow"}), attach(t, h, hub.Meta{ID: "other"})
				dispatch(t, h, "n", "", "0")
				slow.conn.Stall()
				var err error
				sent := 0
				for ; err == nil && sent < 5000; sent++ {
					err = slow.spoke.Dispatch(t.Context(), event("n", "", "1"))
				}
				if !errors.Is(err, eventtarget.ErrOverflow) || sent < pipeHolds {
					t.Fatalf("after %d events: %v", sent, err)
				}
				if err := slow.spoke.Dispatch(t.Context(), event("n", "", "1")); !errors.Is(err, eventtarget.ErrGone) {
					t.Error(err)
				}
				other.expect("n: 0") // and nothing pushed it off the log
				dispatch(t, h, "n", "", "2")
				other.expect("n: 2")
			})
		})
	}
}

// TestFlowToOne: a tight loop of events for one spoke that reads does not overrun it.
func TestFlowToOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{SpokeEvents: 64})
		p, q := attach(t, h, hub.Meta{ID: "p"}), attach(t, h, hub.Meta{ID: "q"})
		q.subscribe("n:*")
		for n := range 5000 {
			dispatch(t, p.spoke, "n", "", fmt.Sprint(n))
			dispatch(t, h, "n", "", fmt.Sprint(n))
		}
		q.expect(numbers(0, 5000)...)
		synctest.Wait()
		if got := p.take(); len(got) != 10_000 {
			t.Errorf("got %d", len(got))
		}
	})
}

func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Overflow: eventtarget.DropOldest, SpokeEvents: 100, WriteTimeout: time.Hour, Heartbeat: -1})
		attach(t, h, hub.Meta{ID: "quick"})
		lossy, stuck, gone := attach(t, h, hub.Meta{ID: "lossy"}), attach(t, h, hub.Meta{ID: "stuck"}), attach(t, h, hub.Meta{ID: "gone"})
		for _, p := range []*peer{lossy, stuck, gone} {
			p.conn.Stall()
			for range 150 {
				dispatch(t, p.spoke, "n", "", "0")
			}
			synctest.Wait()
		}
		dispatch(t, h, "n", "", "1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			time.Sleep(time.Second) // of the bubble's time: Flush waits
			for range 150 {
				dispatch(t, lossy.spoke, "n", "", "2")
			}
			lossy.conn.Resume()
			gone.conn.Cut()
		}()
		all, err := h.Flush(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		got := map[string]string{}
		for _, f := range all {
			got[f.Spoke.ID()] = f.Outcome.String()
		}
		if want := "map[gone:gone lossy:dropped quick:out stuck:pending]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
		stuck.conn.Resume()
		all, err = h.Flush(t.Context())
		if err != nil || len(all) != 3 {
			t.Errorf("%d spokes, %v", len(all), err)
		}
		for _, f := range all {
			if f.Outcome != hub.Out {
				t.Errorf("%s: %v", f.Spoke.ID(), f.Outcome)
			}
		}
	})
}

// teller compares what arrives with what was told to be missing until then.
type teller struct {
	closed           chan struct{}
	once             sync.Once
	next, told, late int
}

func (c *teller) Receive() ([]byte, error) {
	<-c.closed
	return nil, io.EOF
}

func (c *teller) Close(eventtarget.Reason) error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *teller) Send(msg []byte) error {
	var n int
	var m message
	err := json.Unmarshal(msg, &m)
	if m.Type == "__gap" {
		var p struct{ Count int }
		err = errors.Join(err, json.Unmarshal(m.Payload, &p))
		c.told += p.Count
		return err
	}
	err = errors.Join(err, json.Unmarshal(m.Payload, &n))
	c.told -= n - c.next
	c.next = n + 1
	if c.told < 0 {
		c.late++
	}
	return err
}

// TestGapBefore: what is dropped while the hub writes is told before what follows it.
func TestGapBefore(t *testing.T) {
	h := newHub(t, hub.Options{Overflow: eventtarget.DropOldest, SpokeEvents: 16, Heartbeat: -1, Echo: true})
	c := &teller{closed: make(chan struct{})}
	s, err := h.Attach(c, hub.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	const events = 50_000
	// An Inline listener waits for nobody.
	if _, err := h.Add(t.Context(), eventtarget.T("go", ""), eventtarget.Listener[raw]{Inline: true, Handle: func(ctx context.Context, _ eventtarget.Event[raw]) {
		for n := range events {
			if err := s.Dispatch(ctx, event("n", "", strconv.Itoa(n))); err != nil {
				t.Error(err)
			}
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if err := h.DispatchExcept(t.Context(), event("go", "", "0"), s); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	<-s.Done()
	if c.late > 0 || c.next+c.told != events {
		t.Errorf("%d events came before what was missing was told; %d told and not missing, up to %d", c.late, c.told, c.next)
	}
}
