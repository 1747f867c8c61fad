//go:build linux

package soak_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// every is how often each flow dispatches.
const every = 5 * time.Millisecond

var topic = eventtarget.T("n", "one")

// lane is one way of connecting targets: what passes there, and what is done to it.
type lane struct {
	name   string
	lossy  bool // it may lose what it tells to be lost
	flows  []*flow
	ears   []*ear
	faults []fault
	ready  func(context.Context) error // waits until it is whole again

	history *nemesis.History
	total   nemesis.Verdict

	mu    sync.Mutex
	notes []string // what was done in this chapter, and what the ends have told
}

// fault begins, stays for a while, and ends; one that has no end is over at once.
type fault struct {
	name       string
	begin, end func()
}

// flow is what one publisher dispatches.
type flow struct {
	name      string
	to        eventtarget.Target
	on        eventtarget.Topic
	publisher *nemesis.Publisher
}

// ear is one listener. It outlives the chapters; each has a record of its own, so that
// what is remembered is bounded.
type ear struct {
	lane   *lane
	name   string
	of     []*flow
	record atomic.Pointer[nemesis.Listener]
}

func (l *lane) flow(name string, to eventtarget.Target, on eventtarget.Topic) *flow {
	f := &flow{name: name, to: to, on: on}
	l.flows = append(l.flows, f)
	return f
}

func (l *lane) ear(name string) *ear {
	e := &ear{lane: l, name: name}
	l.ears = append(l.ears, e)
	return e
}

// hears adds the ear to a target: an Inline listener, so that a gap is told where it is, and
// not before what still waits for the listener.
func (e *ear) hears(t *testing.T, at eventtarget.Target, on eventtarget.Topic, of ...*flow) {
	t.Helper()
	e.of = append(e.of, of...)
	if _, err := at.Add(t.Context(), on, eventtarget.Listener[eventtarget.Raw]{
		Inline: true,
		Handle: func(ctx context.Context, ev eventtarget.Event[eventtarget.Raw]) { e.record.Load().Handle(ctx, ev) },
	}); err != nil {
		t.Fatal(err)
	}
}

// fault is the OnFault hook of the end where the ear is.
func (e *ear) fault(f eventtarget.Fault) {
	e.lane.tell(e.name)(f)
	if l := e.record.Load(); l != nil {
		l.Fault(f)
	}
}

// tell is the OnFault hook of an end: it notes what that tells.
func (l *lane) tell(who string) func(eventtarget.Fault) {
	return func(f eventtarget.Fault) { l.note("%s: %v %d %v", who, f.Kind, f.Count, f.Err) }
}

func (l *lane) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// explain prints what was noted in this chapter, for those who look for the cause of a
// failure.
func (l *lane) explain(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.notes {
		t.Log(line)
	}
}

// open begins a chapter.
func (l *lane) open(chapter int) {
	l.mu.Lock()
	l.notes = nil
	l.mu.Unlock()
	l.history = new(nemesis.History)
	of := map[*flow]*nemesis.Publisher{}
	for _, f := range l.flows {
		f.publisher = l.history.Publisher(f.name + " in " + strconv.Itoa(chapter))
		of[f] = f.publisher
	}
	for _, e := range l.ears {
		var from []*nemesis.Publisher
		for _, f := range e.of {
			from = append(from, of[f])
		}
		e.record.Store(l.history.Listener(e.name, from...))
	}
}

// run dispatches until ctx ends. What a target does not accept, nobody may hear: the
// history knows.
func (l *lane) run(ctx context.Context, running *sync.WaitGroup) {
	for _, f := range l.flows {
		running.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					_ = f.publisher.Dispatch(context.WithoutCancel(ctx), f.to, f.on)
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

// close ends a chapter: all that was accepted in it is heard, or told to be lost.
func (l *lane) close(t *testing.T) {
	t.Helper()
	v := l.history.Await(t, time.Minute)
	if v.Heard == 0 {
		t.Error("nothing was heard")
	}
	if v.LostAnnounced > 0 && !l.lossy {
		t.Errorf("%d events were lost", v.LostAnnounced)
	}
	if t.Failed() {
		l.explain(t)
	}
	l.total.Accepted += v.Accepted
	l.total.Heard += v.Heard
	l.total.LostSilently += v.LostSilently
	l.total.LostAnnounced += v.LostAnnounced
	l.total.Duplicated += v.Duplicated
	l.total.Reordered += v.Reordered
	l.total.Invented += v.Invented
	l.total.Corrupted += v.Corrupted
}
