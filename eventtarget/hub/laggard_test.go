package hub_test

import (
	"context"
	"maps"
	"math/rand/v2"
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

// laggard is a link that falls behind, what is for it, and what it heard: numbers of events, and
// ^ the counts of gaps.
type laggard struct {
	*link.Link
	spoke     *hub.Spoke
	isSession bool
	to        []int

	mu    sync.Mutex
	near  *link.PipeConn
	heard []int
}

func (l *laggard) hear(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, n)
}

func (l *laggard) end() *link.PipeConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.near
}

func newLaggard(t *testing.T, h *hub.Hub, n int, isSession, subscribes bool) *laggard {
	l := &laggard{isSession: isSession}
	meta := hub.Meta{Values: map[any]any{is{}: n}}
	var err error
	l.Link, err = link.New(link.Options{
		Subscribe: subscribes, Heartbeat: -1, WriteTimeout: time.Hour,
		OnFault: func(f eventtarget.Fault) {
			if f.Kind == eventtarget.FaultGap {
				l.hear(^int(f.Count))
			}
		},
		Dial: func(context.Context) (link.Conn, error) {
			near, far := link.Pipe()
			l.mu.Lock()
			l.near = near
			l.mu.Unlock()
			if isSession {
				go h.Attach(negotiated{far}, meta)
				return negotiated{near}, nil
			}
			_, err := h.Attach(far, meta)
			return near, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
		n, _ := strconv.Atoi(string(e.Payload))
		l.hear(n)
	}}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	for s := range h.Spokes() {
		if s.Value(is{}) == n {
			l.spoke = s
		}
	}
	return l
}

// TestRandomLaggards: of what is dispatched to all, one, a group and all but one, spokes that
// stop reading and whose connections are cut hear everything in order but for as much as they
// are told, before it is missing; or, conflated, the last event of each topic.
func TestRandomLaggards(t *testing.T) {
	random(t, []string{"oldest dropped", "conflated"}, func(t *testing.T, kind string, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		o := hub.Options{
			Overflow: eventtarget.DropOldest, LogEvents: 32 << rng.IntN(4), SpokeEvents: 16 << rng.IntN(3),
			WriteTimeout: time.Hour, Heartbeat: -1, OnFault: ignore,
		}
		if kind == "conflated" {
			o.Overflow = eventtarget.Conflate
		}
		h := newHub(t, o)
		var all []*laggard
		for n := range 4 {
			all = append(all, newLaggard(t, h, n, rng.IntN(3) > 0, rng.IntN(2) == 0))
		}
		all[0].spoke.Join("g")
		all[2].spoke.Join("g")
		ids := lag(t, rng, h, all)
		for n, l := range all {
			l.mu.Lock()
			if kind == "conflated" {
				l.checkLast(t, n, ids)
			} else {
				l.checkTold(t, n)
			}
			l.mu.Unlock()
			l.Close()
			<-l.Done()
		}
	})
}

// lag dispatches while the links stall, go on and are cut, and returns the topic of each event.
func lag(t *testing.T, rng *rand.Rand, h *hub.Hub, all []*laggard) (ids []int) {
	dispatch := func(what, i int) {
		to, send := all, h.Dispatch
		switch what {
		case 1:
			to, send = all[i:i+1], all[i].spoke.Dispatch
		case 2:
			to, send = []*laggard{all[0], all[2]}, h.Group("g").Dispatch
		case 3:
			to = slices.DeleteFunc(slices.Clone(all), func(l *laggard) bool { return l == all[i] })
			send = func(ctx context.Context, e eventtarget.Event[raw]) error {
				return h.DispatchExcept(ctx, e, all[i].spoke)
			}
		}
		for _, l := range to {
			l.to = append(l.to, len(ids))
		}
		id := rng.IntN(4)
		if err := send(t.Context(), event("n", strconv.Itoa(id), strconv.Itoa(len(ids)))); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for range 60 {
		i := rng.IntN(len(all))
		switch what := rng.IntN(10); {
		case what < 4:
			kind := rng.IntN(5)
			for range 1 + rng.IntN(60) {
				if kind < 4 {
					dispatch(kind, i)
				} else {
					dispatch(rng.IntN(4), i)
				}
			}
		case what < 7:
			all[i].end().Stall()
		case what < 9:
			all[i].end().Resume()
		case all[i].isSession && rng.IntN(2) == 0:
			end := all[i].end()
			end.Resume()
			end.Cut()
		default:
			ready(t, all[i])
		}
	}
	for _, l := range all {
		l.end().Resume()
	}
	ready(t, all...)
	<-time.After(time.Minute) // for what nobody is to hear any more
	synctest.Wait()
	return ids
}

// ready waits until some are connected, and everything has arrived.
func ready(t *testing.T, some ...*laggard) {
	synctest.Wait() // who is cut off knows
	for _, l := range some {
		if err := l.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
}

// checkTold compares what is missing with what was told. A gap without a count is for any number.
func (l *laggard) checkTold(t *testing.T, n int) {
	next, missing, told, any := 0, 0, 0, false
	for i, number := range l.heard {
		if number < 0 {
			told += ^number
			any = any || ^number == 0
			continue
		}
		at := slices.Index(l.to[next:], number)
		if at < 0 {
			t.Fatalf("spoke %d heard %d again, or it was not for it; at %d of %v", n, number, i, l.heard)
		}
		missing += at
		next += at + 1
		if missing > told && !any {
			t.Errorf("spoke %d misses %d before %d, and was told %d", n, missing, number, told)
		}
	}
	if missing += len(l.to) - next; missing != told && !any {
		t.Errorf("spoke %d misses %d in all, and was told %d", n, missing, told)
	}
}

// checkLast sees whether each topic was heard in order, to the last event.
func (l *laggard) checkLast(t *testing.T, n int, ids []int) {
	heard, want := make(map[int]int), make(map[int]int)
	for _, number := range l.to {
		want[ids[number]] = number
	}
	for _, number := range l.heard {
		if number < 0 {
			t.Errorf("spoke %d was told %d", n, ^number)
			continue
		}
		if before, again := heard[ids[number]]; again && before >= number || !slices.Contains(l.to, number) {
			t.Errorf("spoke %d heard %d behind %d", n, number, before)
		}
		heard[ids[number]] = number
	}
	if !maps.Equal(heard, want) {
		t.Errorf("spoke %d heard %v at last, by topic, not %v", n, heard, want)
	}
}
