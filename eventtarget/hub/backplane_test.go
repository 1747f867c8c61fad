package hub_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// badBus is a bus that knows how many registrations there are, refuses new ones for a
// while, and is stuck for a while.
type badBus struct {
	*inprocess.Member
	regs    atomic.Int32
	refuses atomic.Bool
	stuck   atomic.Pointer[chan struct{}] // nil, or what Dispatch waits for
	adds    atomic.Pointer[chan struct{}] // the same for Add
	loses   func(eventtarget.Event[raw]) bool
}

func (c *badBus) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[raw]) (*eventtarget.Registration, error) {
	if c.refuses.Load() {
		return nil, errors.New("not now")
	}
	if stuck := c.adds.Load(); stuck != nil {
		select {
		case <-*stuck:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	r, err := c.Member.Add(ctx, topic, l)
	if err == nil {
		c.regs.Add(1)
	}
	return r, err
}

func (c *badBus) Remove(r *eventtarget.Registration) bool {
	removed := c.Member.Remove(r)
	if removed {
		c.regs.Add(-1)
	}
	return removed
}

func (c *badBus) Dispatch(ctx context.Context, e eventtarget.Event[raw]) error {
	if stuck := c.stuck.Load(); stuck != nil {
		select {
		case <-*stuck:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if c.loses != nil && c.loses(e) {
		return errors.New("lost")
	}
	return c.Member.Dispatch(ctx, e)
}

func newBadBus(t *testing.T, bus *inprocess.Bus) *badBus {
	c := &badBus{Member: bus.Join(&inprocess.MemberOptions{OnFault: func(eventtarget.Fault) {}})}
	t.Cleanup(func() { c.Close() })
	return c
}

// within fails the test if something takes longer than it should in any case.
func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal(what, "does not end")
	}
}

// Who asks for the hubs and who comes into groups do not wait for each other.
func TestJoinedHubsWhileGroupsChange(t *testing.T) {
	h, on := newHub(t, hub.Options{}), newBadBus(t, new(inprocess.Bus))
	m, err := h.Join(t.Context(), on, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, s, _ := join(t, h, "a")
	var both sync.WaitGroup
	both.Go(func() {
		for range 5000 {
			m.Hubs()
		}
	})
	both.Go(func() {
		for range 5000 {
			s.Join("room")
			s.Leave("room")
		}
	})
	done := make(chan struct{})
	go func() { both.Wait(); close(done) }()
	within(t, "asking while groups change", done)
}

// A hub that is closed while it joins, or was before, leaves nothing on the bus, and its
// Done waits for the Join.
func TestJoinedAndClosedAtOnce(t *testing.T) {
	for n := range 300 {
		h, on := newHub(t, hub.Options{}), newBadBus(t, new(inprocess.Bus))
		if _, err := h.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(new(heard).handle)); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		both.Go(func() {
			if n%3 > 0 {
				h.Close()
			} else {
				_ = h.Dispatch(t.Context(), event("n", "", "1"))
			}
		})
		if n%3 == 1 {
			both.Wait()
		}
		m, err := h.Join(t.Context(), on, nil)
		if err != nil && !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Join: %v", err)
		}
		if n%3 == 1 && (err == nil || m != nil) {
			t.Error("a closed hub has joined")
		}
		both.Wait()
		h.Close()
		within(t, "a hub that was closed", h.Done())
		if left := on.regs.Load(); left != 0 {
			t.Fatalf("%d registrations are left on the bus", left)
		}
	}
}

// gapsAt attaches a spoke that tells what gaps it was told of.
func gapsAt(t *testing.T, h *hub.Hub, meta hub.Meta, topic string) (gaps func() string, ear *heard) {
	t.Helper()
	near, far := link.Pipe()
	var mu sync.Mutex
	var told []string
	l, err := link.New(link.Options{Conn: near, Subscribe: topic != "*", OnFault: func(f eventtarget.Fault) {
		mu.Lock()
		defer mu.Unlock()
		if f.Kind == eventtarget.FaultGap {
			told = append(told, strconv.FormatUint(f.Count, 10))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); <-l.Done() })
	if _, err := h.Attach(far, meta); err != nil {
		t.Fatal(err)
	}
	return func() string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(told, " ")
	}, listen(t, l, topic)
}

// That the bus did not get something for a group, or for an identity, is told to those who
// it was for, whatever else they hear.
func TestJoinedGapsOfAudiences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		hubs, _ := joined(t, &bus, 1, hub.Options{OnConnect: func(s *hub.Spoke) {
			if s.ID() == "in" {
				s.Join("room")
			}
		}})
		h, on := newHub(t, hub.Options{}), newBadBus(t, &bus)
		var lost atomic.Bool
		on.loses = func(e eventtarget.Event[raw]) bool { return lost.Load() && e.Type != "et.hub" }
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		in, _ := gapsAt(t, hubs[0], hub.Meta{ID: "in"}, "n:*")
		ann, _ := gapsAt(t, hubs[0], hub.Meta{Identity: "ann"}, "n:*")
		out, _ := gapsAt(t, hubs[0], hub.Meta{}, "n:*")
		lost.Store(true)
		dispatchTo(t, h.Group("room").Audience, "g", "", "1")
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if got := in() + "," + ann() + "," + out(); got != "1,," {
			t.Errorf("gaps when something for the group was lost: %s", got)
		}
		dispatchTo(t, h.Identity("ann"), "g", "", "1")
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if got := in() + "," + ann() + "," + out(); got != "1,1," {
			t.Errorf("gaps when something for the identity was lost, too: %s", got)
		}
	})
}

// A hub whose bus refuses for a while what is wanted asks again, and tells a gap.
func TestJoinedRefusedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		hubs, _ := joined(t, &bus, 1, hub.Options{})
		h, on := newHub(t, hub.Options{}), newBadBus(t, &bus)
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		on.refuses.Store(true)
		gaps, ear := gapsAt(t, h, hub.Meta{}, "*")
		dispatch(t, hubs[0], "n", "", "0")
		time.Sleep(5 * time.Second)
		on.refuses.Store(false)
		time.Sleep(5 * time.Second)
		if got := gaps(); got != "0" {
			t.Errorf("gaps: %q", got)
		}
		dispatch(t, hubs[0], "n", "", "1")
		synctest.Wait()
		if got := ear.payloads(); len(got) != 1 || got[0] != "1" {
			t.Errorf("heard %v", got)
		}
	})
}

// Leave is bounded by its context, and says nothing that hides a loss.
func TestJoinedLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		hubs, _ := joined(t, &bus, 1, hub.Options{})
		gaps, _ := gapsAt(t, hubs[0], hub.Meta{}, "n:*")
		h, on := newHub(t, hub.Options{}), newBadBus(t, &bus)
		on.loses = func(e eventtarget.Event[raw]) bool {
			return e.Type == "n" || strings.Contains(string(e.Payload), `"lost"`)
		}
		m, err := h.Join(t.Context(), on, nil)
		if err != nil {
			t.Fatal(err)
		}
		dispatch(t, h, "n", "", "0")
		synctest.Wait()
		stuck := make(chan struct{})
		on.stuck.Store(&stuck)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := m.Leave(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Leave: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("Leave took %v", took)
		}
		close(stuck)
		time.Sleep(5 * time.Second)
		if got := gaps(); got != "0" {
			t.Errorf("gaps after a hub has left with something untold: %q", got)
		}
		if m, err = h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		dispatch(t, h, "n", "", "0")
		if err := m.Leave(t.Context()); err == nil {
			t.Error("Leave has not told what is lost, and has no error")
		}
		time.Sleep(5 * time.Second)
		if got := gaps(); got != "0 0" {
			t.Errorf("gaps after that: %q", got)
		}
	})
}

// A gap is told before what comes behind it.
func TestJoinedGapComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		hubs, _ := joined(t, &bus, 1, hub.Options{})
		p := attach(t, hubs[0], hub.Meta{})
		p.subscribe("n:*")
		h, on := newHub(t, hub.Options{}), newBadBus(t, &bus)
		var fails atomic.Bool
		on.loses = func(eventtarget.Event[raw]) bool { return fails.Load() }
		if _, err := h.Join(t.Context(), on, nil); err != nil {
			t.Fatal(err)
		}
		count(t, h, 0, 1)
		fails.Store(true)
		count(t, h, 1, 3)
		fails.Store(false)
		count(t, h, 3, 5)
		p.expect("n:0 0", `__gap: {"count":2}`, "n:3 3", "n:4 4")
	})
}
