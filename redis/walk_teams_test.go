package redis_test

import (
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// team is what the members of a group have heard, all together.
type team struct {
	name    string
	events  map[string]*told // by event
	closed  map[string]bool  // events that were all confirmed, and nobody has any more
	gaps    []eventtarget.Fault
	marked  int // hearings with Redelivered
	repeats int
}

// told is how an event was heard.
type told struct {
	times, unmarked int
	handled         bool // a listener has returned, of a member that could say so then
}

func newTeam(name string) *team {
	return &team{name: name, events: make(map[string]*told), closed: make(map[string]bool)}
}

func (g *team) gap(w *groupWalk, f eventtarget.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g.gaps = append(g.gaps, f)
	if !w.narrow {
		w.t.Errorf("%s is told %v, where everything is kept", g.name, f)
	}
}

// hears notes that a member's listener is called. Under the member's mu, as handles.
func (w *groupWalk) hears(m *hand, by string, n int, marked bool) {
	name := by + " " + strconv.Itoa(n)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, is := w.sent[name]; !is {
		w.t.Errorf("%d hears %s, which nobody has dispatched", m.n, name)
	}
	g := m.team
	if g.closed[name] {
		w.t.Errorf("%d of %s hears %s, which was confirmed", m.n, g.name, name)
	}
	e := g.events[name]
	if e == nil {
		e = new(told)
		g.events[name] = e
	}
	if e.times++; e.times > 1 {
		g.repeats++
	}
	if marked {
		g.marked++
		return
	}
	if e.unmarked++; e.unmarked > 1 {
		w.t.Errorf("%d of %s hears %s, which was heard before, unmarked", m.n, g.name, name)
	}
	if last, is := m.latest[by]; is && last > n && !w.late(by) {
		w.t.Errorf("%d of %s hears %s behind %d", m.n, g.name, name, last)
	}
	m.latest[by] = n
}

// late tells whether what a speaker sent may come out of order. Under mu.
func (w *groupWalk) late(by string) bool {
	for _, s := range w.speakers {
		if s.name == by {
			return s.late
		}
	}
	return false
}

// handles notes that a member's listener has done its work.
func (w *groupWalk) handles(m *hand, by string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.team.events[by+" "+strconv.Itoa(n)].handled = true
}

// check holds what a group has handled, when nothing is under way any more, against what was
// accepted: what is missing was trimmed, and that was told. None of it may come again.
func (w *groupWalk) check(g *team) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var missing []string
	for name, accepted := range w.sent {
		if e := g.events[name]; accepted && (e == nil || !e.handled) && !g.closed[name] {
			missing = append(missing, name)
		}
		g.closed[name] = true
	}
	slices.Sort(missing)
	told, unknown := 0, false // a member that dies takes with it what it has not told
	for _, f := range g.gaps {
		told, unknown = told+int(f.Count), unknown || f.Count == 0
	}
	g.gaps = nil
	if len(missing) > told && !unknown && (w.orderly || !w.narrow) {
		w.t.Errorf("%s has not handled %d events, and was told that %d are missing: %s", g.name, len(missing), told, strings.Join(missing, ", "))
	}
}

// awaitEnd waits for the end of the goroutines that carry a label, and returns what is left of
// them in the end.
func awaitEnd(label string) (left string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		var b strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
		left = ""
		for group := range strings.SplitSeq(b.String(), "\n\n") {
			if strings.Contains(group, strconv.Quote(label)) {
				left += group + "\n\n"
			}
		}
		if left == "" {
			return left
		}
		select {
		case <-tick.C:
		case <-deadline:
			return left
		}
	}
}
