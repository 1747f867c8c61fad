package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// events returns the ids of the events that the store has.
func (m *memory) events() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if r.Kind == hub.RecordEvent {
			_, id, _ := strings.Cut(string(r.Message), `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			ids = append(ids, id)
		}
	}
	return ids
}

// dispatchFor dispatches an event, and waits a second at most.
func dispatchFor(t *testing.T, h *hub.Hub, e eventtarget.Event[raw]) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	return h.Dispatch(ctx, e)
}

// notIn tells whether an error says that an event was not accepted, because too much waits.
func notIn(err error) bool {
	return errors.Is(err, eventtarget.ErrOverflow) && errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, eventtarget.ErrUnknownOutcome)
}

// TestStoreFull: what waits for a store that is stuck is bounded in events and in bytes, also
// when who dispatched it has given up. Who comes then stands in line, and what he gives up
// there the store never has.
func TestStoreFull(t *testing.T) {
	small, large := `"1"`, `"`+strings.Repeat("x", 600)+`"`
	for name, c := range map[string]struct {
		opts    hub.Options
		payload string
		room    int
	}{
		"events": {hub.Options{LogEvents: 4}, small, 4},
		"bytes":  {hub.Options{LogBytes: 2048}, large, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				h := storedHub(t, m, c.opts)
				free := m.stick()
				var want []string
				for n := range c.room {
					want = append(want, fmt.Sprint(n))
					if err := dispatchFor(t, h, event("n", fmt.Sprint(n), c.payload)); !errors.Is(err, eventtarget.ErrUnknownOutcome) {
						t.Errorf("event %d, for which there is room: %v", n, err)
					}
				}
				for range 3 {
					if err := dispatchFor(t, h, event("n", "over", c.payload)); !notIn(err) {
						t.Errorf("an event too many: %v", err)
					}
				}
				patient := make(chan error, 2*c.room)
				for range cap(patient) {
					go func() { patient <- h.Dispatch(t.Context(), event("n", "patient", c.payload)) }()
					want = append(want, "patient")
				}
				synctest.Wait()
				if len(patient) > 0 {
					t.Errorf("who stands in line: %v", <-patient)
				}
				close(free)
				for range cap(patient) {
					if err := <-patient; err != nil {
						t.Errorf("once there is room: %v", err)
					}
				}
				if got := m.events(); strings.Join(got, " ") != strings.Join(want, " ") {
					t.Errorf("the store has %v, want %v", got, want)
				}
			})
		})
	}
}

// TestStoreFullEnds: who stands in line is sent away when the hub shuts down, or the store
// fails.
func TestStoreFullEnds(t *testing.T) {
	broken := errors.New("broken")
	for name, want := range map[string]error{"shutdown": eventtarget.ErrClosed, "close": eventtarget.ErrClosed, "failure": broken} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				h := storedHub(t, m, hub.Options{LogEvents: 1})
				free := m.stick()
				first, second := make(chan error, 1), make(chan error, 1)
				go func() { first <- h.Dispatch(t.Context(), event("n", "1", "1")) }()
				synctest.Wait()
				go func() { second <- h.Dispatch(t.Context(), event("n", "2", "2")) }()
				synctest.Wait()
				down := make(chan error, 1)
				switch name {
				case "shutdown":
					go func() { down <- h.Shutdown(t.Context()) }()
				case "close":
					down <- h.Close()
				case "failure":
					m.mu.Lock()
					m.broken = broken
					m.mu.Unlock()
					close(free)
					down <- nil
				}
				synctest.Wait()
				if len(second) == 0 {
					t.Fatal("it still stands in line")
				}
				if err := <-second; !errors.Is(err, want) || errors.Is(err, eventtarget.ErrUnknownOutcome) {
					t.Errorf("in line: %v", err)
				}
				if name != "failure" {
					close(free)
				}
				if err := <-first; name == "shutdown" && err != nil || name == "failure" && !errors.Is(err, broken) {
					t.Errorf("in the room: %v", err)
				}
				if err := <-down; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestSharedFull: nor does more wait to come back out of a log than there is room for. A
// spoke's reader stands in line like everybody, and ends with the hub.
func TestSharedFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		d := &deaf{sharedStore: log.Open()}
		h := newHub(t, hub.Options{Store: d, Relay: true, Heartbeat: -1, LogEvents: 3})
		p := attach(t, h, hub.Meta{})
		for n := range 3 {
			if err := dispatchFor(t, h, event("n", "", "1")); !errors.Is(err, eventtarget.ErrUnknownOutcome) {
				t.Errorf("event %d, for which there is room: %v", n, err)
			}
		}
		before := log.Seq()
		if err := dispatchFor(t, h, event("n", "", "1")); !notIn(err) {
			t.Errorf("an event too many: %v", err)
		}
		group := h.Group("g")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := group.Dispatch(ctx, event("n", "", "1")); !notIn(err) {
			t.Errorf("an event too many for a group: %v", err)
		}
		p.send(`{"type":"n","id":"","payload":1}`)
		synctest.Wait()
		if after := log.Seq(); after != before {
			t.Errorf("%d more are in the log", after-before)
		}
		h.Close()
		synctest.Wait()
		select {
		case <-h.Done():
		default:
			t.Error("the reader has not ended")
		}
	})
}

type dispatcher interface {
	Dispatch(ctx context.Context, e eventtarget.Event[raw]) error
}

// TestStoreStuckForSome: what is for some spokes only waits for the store no longer than its
// context, and then nobody hears it.
func TestStoreStuckForSome(t *testing.T) {
	for name, to := range map[string]func(h *hub.Hub, p *peer) dispatcher{
		"spoke":    func(_ *hub.Hub, p *peer) dispatcher { return p.spoke },
		"audience": func(h *hub.Hub, _ *peer) dispatcher { return h.Where(func(*hub.Spoke) bool { return true }) },
	} {
		for _, events := range []int{1, 8} { // in line, and in the room
			t.Run(fmt.Sprint(name, events), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := &memory{}
					h := storedHub(t, m, hub.Options{LogEvents: events})
					p, _ := open(t, h, "", "")
					free := m.stick()
					_ = dispatchFor(t, h, event("n", "", "1"))
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := to(h, p).Dispatch(ctx, event("own", "", "1"))
					if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, eventtarget.ErrUnknownOutcome) {
						t.Errorf("Dispatch: %v", err)
					}
					close(free)
					p.expect("n: 1")
				})
			})
		}
	}
}

// TestStoreNotesAtOnce: the first event for many sessions costs the store no more than two
// round trips.
func TestStoreNotesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		h := storedHub(t, m, hub.Options{})
		var all []*peer
		for range 20 {
			p, _ := open(t, h, "", "")
			all = append(all, p)
		}
		free := m.stick()
		before := m.appends // nobody appends
		accepted := make(chan error, 1)
		go func() {
			accepted <- h.Where(func(*hub.Spoke) bool { return true }).Dispatch(t.Context(), event("own", "", "1"))
		}()
		synctest.Wait()
		close(free)
		if err := <-accepted; err != nil {
			t.Error(err)
		}
		for _, p := range all {
			p.expect("own: 1")
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if n := m.appends - before; n > 2 {
			t.Errorf("%d round trips", n)
		}
	})
}
