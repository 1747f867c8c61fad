package hub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// parted is a link whose sessions, if it has any, may be over when it comes back; what it and its
// hub dispatched for each other; and what they heard.
type parted struct {
	*link.Link
	n         int
	isSession bool
	to, sent  []int
	lastAt    *hub.Spoke   // its spoke when the last of to was dispatched
	may       map[int]bool // what was for all but its spoke, which another may have followed

	cord
	far       *link.PipeConn
	heard     []told
	at        []int  // what the hub heard of it
	begun     int    // sessions, and plain connections
	gaps      int    // without a count
	discarded uint64 // as it was told
}

// told is what a link heard: an event, by its number; or a gap, with ^ the number that was next and
// how much it counts.
type told struct{ number, lost int }

// partings are a hub and such links.
type partings struct {
	diary
	rng  *rand.Rand
	hub  *hub.Hub
	all  []*parted
	next atomic.Int64 // number of an event
}

func (w *partings) fault(l *parted, f eventtarget.Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f.Kind {
	case eventtarget.FaultGap:
		l.heard = append(l.heard, told{^int(w.next.Load()), int(f.Count)})
		if f.Count == 0 {
			l.gaps++
		}
	case eventtarget.FaultDiscarded:
		l.discarded += f.Count
	}
}

func (w *partings) connect(n int) {
	l := &parted{n: n, isSession: w.rng.IntN(4) > 0, may: make(map[int]bool)}
	o := link.Options{
		Subscribe: w.rng.IntN(2) == 0, Heartbeat: -1, WriteTimeout: time.Second, OnFault: func(f eventtarget.Fault) { w.fault(l, f) },
		OnState: func(c link.Change) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if c.State == eventtarget.StateUp && !c.Resumed {
				l.begun++
			}
		},
		Dial: func(context.Context) (link.Conn, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if time.Now().Before(l.away) {
				return nil, errors.New("away")
			}
			near, far := link.Pipe()
			l.near, l.far = near, far
			meta := hub.Meta{Values: map[any]any{is{}: n}}
			if l.isSession {
				go w.hub.Attach(negotiated{far}, meta)
				return negotiated{near}, nil
			}
			_, err := w.hub.Attach(far, meta)
			return near, err
		},
	}
	if w.rng.IntN(2) == 0 {
		o.LogEvents = 4 << w.rng.IntN(6)
	}
	if w.rng.IntN(2) == 0 {
		o.Heartbeat = time.Second
	}
	w.note("link %d: session %v, subscribes %v, %d events, heartbeat %v", n, l.isSession, o.Subscribe, o.LogEvents, o.Heartbeat)
	var err error
	l.Link, err = link.New(o)
	w.must(err)
	_, err = l.Add(w.t.Context(), eventtarget.T("down", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
		n, _ := strconv.Atoi(string(e.Payload))
		l.mu.Lock()
		defer l.mu.Unlock()
		l.heard = append(l.heard, told{number: n})
	}})
	w.must(err)
	w.all = append(w.all, l)
}

// settle waits until everybody is connected, and everything has arrived.
func (w *partings) settle() {
	for _, l := range w.all {
		l.goOn()
		l.mu.Lock()
		l.away = time.Time{}
		l.mu.Unlock()
	}
	for _, l := range w.all {
		synctest.Wait() // who is cut off knows
		w.must(l.Ready(w.t.Context()))
	}
	<-time.After(time.Minute)
	synctest.Wait()
	w.note("settled")
}

func (l *parted) goOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.near != nil {
		l.near.Resume()
		l.far.Resume()
	}
}

func (w *partings) step() {
	l := w.all[w.rng.IntN(len(w.all))]
	switch what := w.rng.IntN(13); {
	case what < 4:
		for range 1 + w.rng.IntN(80) {
			w.down(w.rng.IntN(6), l)
		}
	case what < 7:
		for range 1 + w.rng.IntN(80) {
			w.up(l)
		}
	case what < 8:
		l.mu.Lock()
		if byHub := w.rng.IntN(2) == 0; l.near == nil {
		} else if w.note("%d stalls, by hub %v", l.n, byHub); byHub {
			l.far.Stall()
		} else {
			l.near.Stall()
		}
		l.mu.Unlock()
	case what < 9:
		w.note("%d goes on", l.n)
		l.goOn()
	case what < 10:
		w.note("%d is cut off, away for %v", l.n, l.cut(w.rng))
	case what < 11:
		w.flush()
	case what < 12:
		d := time.Duration(1+w.rng.IntN(1500)) * time.Millisecond
		w.note("%v", d)
		<-time.After(d)
	default:
		synctest.Wait()
	}
}

func (w *partings) up(l *parted) {
	n := int(w.next.Add(1)) - 1
	err := l.Dispatch(w.t.Context(), event("up", strconv.Itoa(n%3), strconv.Itoa(n)))
	if !errors.Is(err, eventtarget.ErrOverflow) {
		w.must(err)
		l.sent = append(l.sent, n)
	}
	w.note("%d dispatches %d: %v", l.n, n, err)
}

func (w *partings) down(what int, l *parted) {
	n := int(w.next.Add(1)) - 1
	e := event("down", strconv.Itoa(n%3), strconv.Itoa(n))
	to, err := w.all, error(nil)
	var before [][]*hub.Spoke // a spoke that comes while a dispatch waits is too late for it
	for _, l := range w.all {
		before = append(before, w.spokes(l))
	}
	switch what {
	default:
		err = w.hub.Dispatch(w.t.Context(), e)
	case 1, 2:
		to = nil
		switch its := before[l.n]; {
		case len(its) != 1:
		case what == 2:
			to = slices.DeleteFunc(slices.Clone(w.all), func(o *parted) bool { return o == l })
			l.may[n] = true
			err = w.hub.DispatchExcept(w.t.Context(), e, its[0])
		default:
			if err = its[0].Dispatch(w.t.Context(), e); err == nil {
				to = []*parted{l}
			} else if errors.Is(err, eventtarget.ErrGone) || errors.Is(err, eventtarget.ErrOverflow) {
				err = nil
			}
		}
	case 3:
		to = []*parted{w.all[0], w.all[2]}
		err = w.hub.Group("g").Dispatch(w.t.Context(), e)
	}
	w.must(err)
	w.note("hub dispatches %d, for %d (%d)", n, l.n, what)
	for _, l := range to {
		l.to, l.lastAt = append(l.to, n), nil
		if its := before[l.n]; len(its) == 1 {
			l.lastAt = its[0]
		}
	}
}

// spokes is a link as its hub has it: several while the hub has not seen that it is somewhere else.
func (w *partings) spokes(l *parted) (its []*hub.Spoke) {
	for s := range w.hub.Spokes() {
		if s.Value(is{}) == l.n {
			its = append(its, s)
		}
	}
	return its
}
