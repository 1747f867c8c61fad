package netwalk

import (
	"context"
	"time"
)

// until waits for something, which is asked under mu.
func (w *walk) until(holds func() bool) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		w.mu.Lock()
		held := holds()
		w.mu.Unlock()
		if held || time.Now().After(end) {
			return held
		}
	}
}

// settle has everybody dispatch a last event, waits until it is heard, and looks whether
// everything before it was, or was told to be missing.
func (w *walk) settle() {
	for tries := 0; !w.failed(); tries++ {
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		for _, m := range w.members {
			w.must(m.link.Ready(ctx))
		}
		cancel()
		begun := w.unknowns()
		var last map[*publisher]int
		ok := w.until(func() bool {
			w.mu.Unlock()
			defer w.mu.Lock()
			var all bool
			last, all = w.lasts()
			return all
		})
		changed := false
		if ok && w.until(func() bool {
			changed = w.unknown() != begun
			return w.broken || changed || w.arrived(last)
		}) && !changed {
			break
		}
		if ok && !changed || tries > 10 {
			w.stuck(last)
		}
		w.note("it begins to settle again")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return
	}
	w.noted("settled")
	for _, m := range w.members {
		w.account(m.ear)
	}
	for _, p := range w.publishers {
		if p.ended && !p.cut {
			w.skips(p, len(p.sent))
		}
	}
	w.judge()
}

// unknowns counts the gaps of unknown size that were told.
func (w *walk) unknowns() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unknown()
}

func (w *walk) unknown() (n int) {
	for _, m := range w.members {
		n += m.ear.unknowns
	}
	return n
}

// lasts has each publisher dispatch one more event, to all. It is false if one cannot.
func (w *walk) lasts() (last map[*publisher]int, ok bool) {
	last = make(map[*publisher]int)
	for _, p := range w.talking() {
		err := w.send(w.t.Context(), p, "", 0, func(s *sending) dispatch {
			last[p] = len(p.sent)
			if p.by >= 0 {
				return w.fromSpoke(p, s)
			}
			s.to = [spokes]bool{true, true, true, true}
			return w.server.Dispatch
		})
		if err != nil {
			w.note("%s: %v", p.name, err)
			return nil, false
		}
	}
	return last, true
}

// arrived tells whether everybody has heard those last events. Under mu.
func (w *walk) arrived(last map[*publisher]int) bool { return w.awaited(last) == nil }

func (w *walk) awaited(last map[*publisher]int) []any {
	for p, n := range last {
		if p.by >= 0 && w.atHub[p] <= n {
			return []any{"the hub", p.name, n, w.atHub[p]}
		}
		for _, m := range w.members {
			if p.sent[n].to[m.n] && m.ear.next[p] <= n {
				return []any{m.says.name, p.name, n, m.ear.next[p]}
			}
		}
	}
	return nil
}

func (w *walk) stuck(last map[*publisher]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong("it does not come to rest: %v waits for %v", w.awaited(last), last)
}

// account looks whether a spoke was told of as many events as it has not heard. Under mu.
func (w *walk) account(e *ear) {
	for _, p := range w.publishers {
		switch {
		case p.ended && p.cut: // its last events may come yet
			e.others += e.lacks(p, len(p.sent))
		case p.ended:
			e.skip(p, len(p.sent))
		}
	}
	if e.missing > e.told || e.told > e.missing+e.others {
		w.wrong("spoke %d has not heard %d events (and %d that it need not), and was told of %d", e.member.n, e.missing, e.others, e.told)
	}
	e.missing, e.told, e.others = 0, 0, 0
}

// over ends everything.
func (w *walk) over() {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.heal()
	hubFirst := w.one(2)
	if hubFirst {
		w.note("the hub is closed, for good")
		w.stop(w.server)
	}
	for _, m := range w.members {
		w.end(m)
	}
	if !hubFirst {
		w.note("the hub is closed, for good")
		w.stop(w.server)
	}
}
