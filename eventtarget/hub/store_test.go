package hub_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// memory is a store that outlives a hub, in this process.
type memory struct {
	mu      sync.Mutex
	records []hub.Record
	appends int // how often Append was called
	broken  error
	busy    chan struct{} // nil, or what Append waits for
}

func (m *memory) Restore() iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		m.mu.Lock()
		all := slices.Clone(m.records)
		m.mu.Unlock()
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (m *memory) Append(records []hub.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.appends++
	if busy := m.busy; busy != nil {
		m.mu.Unlock()
		<-busy
		m.mu.Lock()
	}
	if m.broken != nil {
		return m.broken
	}
	m.records = append(m.records, records...)
	return nil
}

// crash returns what another process finds: what is appended from now on is lost.
func (m *memory) crash() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{records: slices.Clone(m.records)}
}

func storedHub(t *testing.T, s hub.Store, o hub.Options) *hub.Hub {
	t.Helper()
	o.Store, o.Heartbeat = s, -1
	if o.OnFault == nil {
		o.OnFault = func(eventtarget.Fault) {}
	}
	h, err := hub.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(); <-h.Done() })
	return h
}

// resumeAt resumes a session at a place of its store.
func resumeAt(w welcome, received int, seq uint64) string {
	return fmt.Sprintf(`%s,"place":{"store":%q,"seq":%d}`, resume(w, received), w.Place.Store, seq)
}

// TestStoreGoesOn: another process goes on where one has died, for a spoke that is sent
// everything and for one that has asked, which hear nothing twice and nothing of their own.
func TestStoreGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{Relay: true})
		all, wAll := open(t, h, "ada", "")
		asked, wAsked := open(t, h, "", `,"topics":["n:*"]`)
		count(t, h, 0, 2)
		all.send(`{"type":"m","id":"1","seq":999,"x":1}`)
		asked.send(`{"type":"n","id":"own","payload":1}`)
		synctest.Wait()
		all.expect("n:0 0", "n:1 1", "n:own 1")
		asked.expect("n:0 0", "n:1 1")
		m = m.crash()
		count(t, h, 2, 3) // the dead process's own, which nobody will know of
		h.Close()
		synctest.Wait()

		h = storedHub(t, m, hub.Options{Relay: true})
		count(t, h, 5, 6) // before anybody is back
		// Of the four events ada has received the first one.
		again, w := open(t, h, "ada", resumeAt(wAll, 1, 1))
		if !w.Resumed || w.Session != wAll.Session || w.Received != 1 {
			t.Errorf("ada was welcomed with %+v", w)
		}
		again.expect("n:1 1", "n:own 1", "n:5 5")
		again2, w := open(t, h, "", resumeAt(wAsked, 2, 2)+`,"topics":["n:*"]`)
		if !w.Resumed || w.Received != 1 {
			t.Errorf("the other one was welcomed with %+v", w)
		}
		again2.expect("n:5 5")
		count(t, h, 6, 7)
		again.expect("n:6 6")
		again2.expect("n:6 6")
		again.send(`{"type":"n","id":"again","payload":1}`)
		synctest.Wait()
		again2.expect("n:again 1")
	})
}

// TestStoreUnknown: who is not the one that a session belongs to, or was at a place that
// the store does not know, gets a new one; and so does everyone when the time is over.
func TestStoreUnknown(t *testing.T) {
	for name, payload := range map[string]func(w welcome) (identity, payload string){
		"another identity":  func(w welcome) (string, string) { return "eve", resumeAt(w, 0, 0) },
		"no place":          func(w welcome) (string, string) { return "ada", resume(w, 0) },
		"ahead of us":       func(w welcome) (string, string) { return "ada", resumeAt(w, 7, 7) },
		"another store":     func(w welcome) (string, string) { w.Place.Store = "x"; return "ada", resumeAt(w, 0, 0) },
		"another session":   func(w welcome) (string, string) { w.Session = "x"; return "ada", resumeAt(w, 0, 0) },
		"after its timeout": func(w welcome) (string, string) { <-time.After(time.Minute + 1); return "ada", resumeAt(w, 0, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				h := storedHub(t, m, hub.Options{})
				_, w := open(t, h, "ada", "")
				count(t, h, 0, 3)
				m = m.crash()
				h = storedHub(t, m, hub.Options{})
				identity, greeting := payload(w)
				p, w := open(t, h, identity, greeting)
				if w.Resumed || w.Place.Seq != 3 {
					t.Errorf("welcomed with %+v", w)
				}
				count(t, h, 3, 4)
				p.expect("n:3 3")
			})
		})
	}
}

// TestStoreGap: what the store cannot have is told as a gap of unknown size.
func TestStoreGap(t *testing.T) {
	ctx := context.Background()
	own := eventtarget.Event[eventtarget.Raw]{Type: "own"}
	for name, c := range map[string]struct {
		options hub.Options // of the first process
		later   hub.Options // and of the other one
		before  func(t *testing.T, h *hub.Hub, p *peer)
		want    []string
	}{
		"nothing of its own": {before: func(*testing.T, *hub.Hub, *peer) {}, want: []string{"n:0 0", "n:1 1"}},
		"its own": {before: func(t *testing.T, _ *hub.Hub, p *peer) {
			if err := p.spoke.Dispatch(ctx, own); err != nil {
				t.Fatal(err)
			}
		}, want: []string{`__gap: {"count":0}`, "n:0 0", "n:1 1"}},
		"its group's": {before: func(t *testing.T, h *hub.Hub, p *peer) {
			p.spoke.Join("g")
			if err := h.Group("g").Dispatch(ctx, own); err != nil {
				t.Fatal(err)
			}
		}, want: []string{`__gap: {"count":0}`, "n:0 0", "n:1 1"}},
		"what is retained": {options: hub.Options{Retain: func(eventtarget.Topic) bool { return true }}, before: func(t *testing.T, h *hub.Hub, p *peer) {
			dispatch(t, h, "m", "1", "1")
			p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["m:*"]}}`)
			synctest.Wait()
		}, want: []string{`__gap: {"count":0}`, "m:1 1", "n:0 0", "n:1 1"}},
		"nothing that is retained": {options: hub.Options{Retain: func(t eventtarget.Topic) bool { return t.Type == "r" }}, before: func(t *testing.T, _ *hub.Hub, p *peer) {
			p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["*"]}}`)
			synctest.Wait()
		}, want: []string{"n:0 0", "n:1 1"}},
		"a greeting":   {options: hub.Options{OnConnect: func(s *hub.Spoke) { _ = s.Dispatch(ctx, own) }}, before: func(*testing.T, *hub.Hub, *peer) {}, want: []string{`__gap: {"count":0}`, "n:0 0", "n:1 1"}},
		"conflated":    {options: hub.Options{Overflow: eventtarget.Conflate}, before: func(*testing.T, *hub.Hub, *peer) {}, want: []string{`__gap: {"count":0}`, "n:0 0", "n:1 1"}},
		"out of bytes": {later: hub.Options{LogBytes: 300}, before: func(*testing.T, *hub.Hub, *peer) {}, want: []string{`__gap: {"count":0}`, "n:1 1"}}, // each is one of about 170
		"out of reach": {later: hub.Options{LogEvents: 1}, before: func(*testing.T, *hub.Hub, *peer) {}, want: []string{`__gap: {"count":0}`, "n:1 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				h := storedHub(t, m, c.options)
				p, w := open(t, h, "ada", "")
				c.before(t, h, p)
				count(t, h, 0, 2)
				m = m.crash()
				h = storedHub(t, m, c.later)
				p, w = open(t, h, "ada", resumeAt(w, 0, 0))
				if !w.Resumed {
					t.Errorf("welcomed with %+v", w)
				}
				p.expect(c.want...)
			})
		})
	}
}

// TestStoreFollowed: a store that says again what it is called and how far it is, as a second
// file does, has nothing less.
func TestStoreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		_, w := open(t, h, "ada", "")
		count(t, h, 0, 2)
		m = m.crash()
		m.records = append(m.records, hub.Record{Kind: hub.RecordName, Name: w.Place.Store, Seq: 2})
		h = storedHub(t, m, hub.Options{})
		p, _ := open(t, h, "ada", resumeAt(w, 0, 0))
		count(t, h, 2, 3)
		p.expect("n:0 0", "n:1 1", "n:2 2")
	})
}

// TestStoreRefused: who comes back when there is no room has its session when there is.
func TestStoreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		_, w := open(t, h, "ada", "")
		count(t, h, 0, 1)
		h = storedHub(t, m.crash(), hub.Options{Spokes: 1})
		other := attach(t, h, hub.Meta{})
		near, far := link.Pipe()
		go near.Send([]byte(`{"type":"__hello","id":"","payload":{"version":1` + resumeAt(w, 0, 0) + `}}`))
		if _, err := h.Attach(negotiated{far}, hub.Meta{Identity: "ada"}); !errors.Is(err, eventtarget.ErrLimit) {
			t.Fatalf("a second spoke: %v", err)
		}
		other.conn.Cut()
		synctest.Wait()
		p, w := open(t, h, "ada", resumeAt(w, 0, 0))
		if !w.Resumed {
			t.Errorf("welcomed with %+v", w)
		}
		p.expect("n:0 0")
	})
}

// TestStoreEnds: a session that its peer ends is over in the store too; one that the hub's
// end interrupts is not, and goes on without anything heard twice.
func TestStoreEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		leaves, wLeaves := open(t, h, "", "")
		stays, wStays := open(t, h, "", "")
		count(t, h, 0, 1)
		stays.ack(1)
		leaves.ack(1)
		_ = leaves.conn.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
		synctest.Wait()
		if err := h.Restart(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
		h = storedHub(t, m, hub.Options{})
		if _, w := open(t, h, "", resumeAt(wLeaves, 1, 1)); w.Resumed {
			t.Error("a session that was ended goes on")
		}
		p, w := open(t, h, "", resumeAt(wStays, 1, 1))
		if !w.Resumed {
			t.Error("a session that the hub's restart interrupted is over")
		}
		count(t, h, 1, 2)
		p.expect("n:1 1")
	})
}

// TestStoreClosing: what the store has got when the hub is closed over it has an unknown
// outcome, and no number is given twice.
func TestStoreClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		busy := make(chan struct{})
		m.mu.Lock()
		m.busy = busy
		m.mu.Unlock()
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- h.Dispatch(t.Context(), event("n", "", "1")) }()
			synctest.Wait()
		}
		h.Close()
		close(busy)
		for range 2 {
			if err := <-results; !errors.Is(err, eventtarget.ErrUnknownOutcome) {
				t.Errorf("Dispatch: %v", err)
			}
		}
		var numbers []uint64
		for _, r := range m.crash().records {
			if r.Kind == hub.RecordEvent {
				numbers = append(numbers, r.Seq)
			}
		}
		if !slices.Equal(numbers, []uint64{1, 2}) {
			t.Errorf("kept under the numbers %v", numbers)
		}
	})
}

// TestStoreBroken: what the store does not take is neither accepted nor acknowledged.
func TestStoreBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the disk is full")
		var faults []eventtarget.Fault
		m := &memory{}
		h := storedHub(t, m, hub.Options{Relay: true, OnFault: func(f eventtarget.Fault) { faults = append(faults, f) }})
		p, _ := open(t, h, "", "")
		count(t, h, 0, 1)
		p.expect("n:0 0")
		m.mu.Lock()
		m.broken = broken
		m.mu.Unlock()
		for range 2 {
			if err := h.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "n"}); !errors.Is(err, broken) {
				t.Errorf("Dispatch: %v", err)
			}
		}
		if err := p.spoke.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "n"}); !errors.Is(err, broken) {
			t.Errorf("Dispatch to one: %v", err)
		}
		p.send(`{"type":"m","id":""}`)
		time.Sleep(time.Second) // longer than an acknowledgement waits
		synctest.Wait()
		p.expect()
		if len(faults) != 1 || !errors.Is(faults[0].Err, broken) {
			t.Errorf("told %v", faults)
		}
		if _, err := hub.New(hub.Options{Store: &unreadable{}}); !errors.Is(err, errUnreadable) {
			t.Errorf("New: %v", err)
		}
	})
}

var errUnreadable = errors.New("unreadable")

type unreadable struct{ memory }

func (*unreadable) Restore() iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) { yield(hub.Record{}, errUnreadable) }
}

// TestStoreKeepsAtTheEnd: a hub that ends leaves its sessions to the next one, also those whose
// connection is cut at that moment.
func TestStoreKeepsAtTheEnd(t *testing.T) {
	for n := range 60 {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{}
			h := storedHub(t, m, hub.Options{})
			const sessions = 50
			var all []*peer
			for range sessions {
				p, _ := open(t, h, "", "")
				all = append(all, p)
			}
			begin := make(chan struct{})
			for i, p := range all {
				go func() {
					<-begin
					for range i + n {
						runtime.Gosched()
					}
					p.conn.Cut()
				}()
			}
			for range 8 {
				go func() {
					<-begin
					for range 50 { // which makes the end take longer
						_ = h.Dispatch(t.Context(), event("n", "", "1"))
					}
				}()
			}
			synctest.Wait()
			close(begin)
			for range sessions / 2 {
				runtime.Gosched()
			}
			h.Close()
			synctest.Wait()
			for r := range m.Restore() {
				if r.Kind == hub.RecordEnded {
					t.Fatal("a session is over")
				}
			}
		})
	}
}
