package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// settle heals everything, and dispatches on all topics until everybody hears that.
func (w *walk) settle() {
	if w.killed {
		w.kill()
	}
	for _, m := range w.present() {
		w.release(m)
	}
	added := make(chan struct{})
	go func() { w.adds.Wait(); close(added) }()
	w.await("the end of all Adds", added)
	for _, s := range w.speakers {
		w.await("the end of a burst", s.busy)
	}
	w.note("settles")
	var topics []eventtarget.Topic
	for _, of := range w.types {
		topics = append(topics, eventtarget.T(of, "1"), eventtarget.T(of, "2"))
	}
	for began := time.Now(); ; {
		last := w.position()
		for _, m := range w.present() {
			for _, s := range w.speakers[2*m.n : 2*m.n+2] {
				if !w.narrow {
					w.burst(s, topics, false)
					continue
				}
				for _, topic := range topics { // one by one, for which there is room
					before := w.position()
					w.burst(s, []eventtarget.Topic{topic}, false)
					w.await("the end of a last burst", s.busy)
					_ = w.heardAll(before, time.Second/10)
				}
			}
		}
		for _, s := range w.speakers {
			w.await("the end of a last burst", s.busy)
		}
		lacking := w.heardAll(last, time.Second)
		if lacking == "" {
			return
		}
		if time.Since(began) > patience {
			w.t.Error("in the end", lacking)
			return
		}
	}
}

// heardAll waits until everybody has heard what was dispatched from a position on.
func (w *walk) heardAll(from map[*speaker]int, most time.Duration) (lacking string) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.After(most); ; {
		if lacking = w.lacks(from); lacking == "" {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			return
		}
	}
}

func (w *walk) lacks(from map[*speaker]int) string {
	for i, e := range w.ears {
		if e.until != nil || e.err != nil {
			continue
		}
		e.at.mu.Lock()
		told := slices.Clone(e.at.told)
		e.at.mu.Unlock()
		heard := make(map[*speaker]map[int]bool)
		any := false
		for _, x := range told {
			if x.ear == e {
				if heard[x.by] == nil {
					heard[x.by] = make(map[int]bool)
				}
				heard[x.by][x.n] = true
				any = true
			}
		}
		if e.once {
			if !any {
				return fmt.Sprintf("ear %d hears nothing", i)
			}
			continue
		}
		for _, s := range w.speakers {
			if deaf(e.at, s.at) {
				continue
			}
			for n := from[s]; n < len(s.sent); n++ {
				if e.topic.Matches(s.sent[n].topic) && !(s.sent[n].accepted && heard[s][n]) {
					if s.at.gone {
						continue
					}
					return fmt.Sprintf("ear %d (%d, %v) does not hear %s %d, accepted: %v", i, e.at.n, e.topic, s.name, n, s.sent[n].accepted)
				}
			}
		}
	}
	return ""
}

// check compares what everyone heard of everyone with what was dispatched. No burst is
// under way any more.
func (w *walk) check() {
	for _, m := range w.walkers {
		m.mu.Lock()
		if at := slices.IndexFunc(m.told, func(x tale) bool { return x.ear == nil }); at >= 0 && (w.calm || !w.loses) {
			w.t.Errorf("%d is told a gap where nothing was lost: %v", m.n, m.told[at].err)
		}
		m.mu.Unlock()
	}
	for i, e := range w.ears {
		e.at.mu.Lock()
		told := slices.Clone(e.at.told)
		e.at.mu.Unlock()
		calls := 0
		for _, x := range told {
			if x.ear == e {
				calls++
			}
		}
		switch {
		case e.err != nil && calls > 0 && w.crew == nil: // a link hears before it has an answer
			w.t.Errorf("ear %d hears, though Add failed: %v", i, e.err)
		case e.once && calls > 1:
			w.t.Errorf("ear %d hears %d events instead of one", i, calls)
		}
		for _, s := range w.speakers {
			if w.options.Shards < 2 {
				w.compare(i, told, s, "")
				continue
			}
			for _, of := range w.types { // which are all that has an order
				w.compare(i, told, s, of)
			}
		}
	}
}

// compare looks at what a listener heard of a speaker, or of its events of a type.
func (w *walk) compare(i int, told []tale, s *speaker, of string) {
	e := w.ears[i]
	own := s.at == e.at
	last, gap := -1, false
	missing := func(upto int) (all []int) {
		from := e.from[s]
		if last >= 0 && w.options.Durable { // elsewhere what it hears early is what others there want
			from = last + 1
		}
		from = max(from, last+1)
		for n := from; n < upto; n++ {
			if x := s.sent[n]; x.accepted && e.topic.Matches(x.topic) && (of == "" || of == x.topic.Type) {
				all = append(all, n)
			}
		}
		return all
	}
	for at, x := range told {
		switch {
		case x.ear == nil:
			if at >= e.start {
				gap = true
			}
		case x.ear != e || x.by != s || of != "" && s.sent[x.n].topic.Type != of:
		case !e.topic.Matches(s.sent[x.n].topic) || deaf(e.at, s.at) || e.until != nil && x.n >= e.until[s]:
			w.t.Errorf("ear %d hears %s %d, which is not for it", i, s.name, x.n)
		case x.n <= last:
			w.t.Errorf("ear %d hears %s %d behind %d", i, s.name, x.n, last)
		case own && !s.sent[x.n].accepted && !e.at.gone:
			w.t.Errorf("ear %d hears its own %s %d, which was refused", i, s.name, x.n)
		default:
			if m := missing(x.n); len(m) > 0 && (!gap && !w.tells(e.at, told[at:]) || own || w.calm || !w.loses) && !e.once {
				w.t.Errorf("ear %d (%d, %v) misses %s %v before %d, gap told: %v; after %s", i, e.at.n, e.topic, s.name, m, x.n, gap, w.window(told, at))
			}
			last, gap = x.n, false
		}
	}
	if e.until != nil || e.once || s.at.lossy || e.err != nil || deaf(e.at, s.at) {
		return
	}
	if m := missing(len(s.sent)); len(m) > 0 && (!gap || own) {
		w.t.Errorf("ear %d (%d, %v) misses %s %v at the end, gap told: %v", i, e.at.n, e.topic, s.name, m, gap)
	}
}

// tells tells whether a gap follows, where it may come late: the other hubs of a bus tell theirs when
// they are back, and of a log that was deleted nobody sees within a second that it is another if by
// then nothing is left of its beginning either.
func (w *walk) tells(m *walker, told []tale) bool {
	return w.deleted || w.joined && (m.gone || slices.ContainsFunc(told, func(x tale) bool { return x.ear == nil }))
}

// window shows what a member told before something, and it.
func (w *walk) window(told []tale, at int) string {
	var all []string
	for _, x := range told[max(0, at-25) : at+1] {
		if x.ear == nil {
			all = append(all, fmt.Sprintf("gap %d", x.count))
		} else {
			all = append(all, fmt.Sprintf("%d:%s %d", slices.Index(w.ears, x.ear), x.by.name, x.n))
		}
	}
	return strings.Join(all, ", ")
}

// deaf tells whether a member does not hear another, or itself: hubs are one, which does not.
func deaf(m, by *walker) bool { return m == by && m.noEcho || m.isHub && by.isHub }
