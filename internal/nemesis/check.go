package nemesis

import "fmt"

// Verdict counts what became of the events, over all listeners.
type Verdict struct {
	Accepted      int // that should be heard
	Heard         int
	LostSilently  int // accepted, not heard, and no gap was told where they are missing
	LostAnnounced int // accepted, not heard, and a gap was told there
	Duplicated    int
	Reordered     int
	Invented      int // never dispatched, or refused
	Corrupted     int
	First         string // the first thing that is wrong
}

// OK tells whether nothing happened that must not. Losses that were announced are for
// the caller to judge.
func (v Verdict) OK() bool {
	return v.LostSilently+v.Duplicated+v.Reordered+v.Invented+v.Corrupted == 0
}

// String returns the counts in a line.
func (v Verdict) String() string {
	s := fmt.Sprintf("%d accepted, %d heard; lost silently %d, lost and announced %d, duplicated %d, reordered %d, invented %d, corrupted %d",
		v.Accepted, v.Heard, v.LostSilently, v.LostAnnounced, v.Duplicated, v.Reordered, v.Invented, v.Corrupted)
	if v.First != "" {
		s += "; first: " + v.First
	}
	return s
}

// Check says what became of the events so far.
func (h *History) Check() (v Verdict) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.listeners {
		l.check(&v)
	}
	return v
}

func (v *Verdict) count(field *int, format string, args ...any) {
	*field++
	if v.First == "" {
		v.First = fmt.Sprintf(format, args...)
	}
}

// follow is how far a listener is with a publisher.
type follow struct {
	publisher *Publisher
	next      int          // what is to come
	gaps      int          // that were told when it was last heard
	skipped   map[int]bool // what was passed over: true if a gap was told there
	seen      map[int]bool
}

func (l *Listener) check(v *Verdict) {
	follows := make(map[string]*follow)
	for _, p := range l.from {
		follows[p.name] = &follow{publisher: p, skipped: make(map[int]bool), seen: make(map[int]bool)}
	}
	for _, r := range l.heard {
		v.Heard++
		f := follows[r.publisher]
		switch {
		case r.bad != "":
			v.count(&v.Corrupted, "%s heard what was never sent so: %s", l.name, r.bad)
		case f == nil || r.number >= len(f.publisher.outcomes) || f.publisher.outcomes[r.number] == Failed:
			v.count(&v.Invented, "%s heard %s/%d, which was not accepted", l.name, r.publisher, r.number)
		case f.seen[r.number]:
			v.count(&v.Duplicated, "%s heard %s/%d twice", l.name, r.publisher, r.number)
		case r.number < f.next:
			v.count(&v.Reordered, "%s heard %s/%d behind %d", l.name, r.publisher, r.number, f.next-1)
			delete(f.skipped, r.number)
			f.seen[r.number] = true
		default:
			f.pass(r.number, r.gapsThen > f.gaps)
			f.seen[r.number] = true
			f.next = r.number + 1
		}
		if f != nil {
			f.gaps = r.gapsThen
		}
	}
	for _, f := range follows {
		f.pass(len(f.publisher.outcomes), l.gaps > f.gaps)
		for n, o := range f.publisher.outcomes {
			if o == OK {
				v.Accepted++
			}
			switch told, missing := f.skipped[n]; {
			case o != OK || !missing:
			case told:
				v.LostAnnounced++
			default:
				v.count(&v.LostSilently, "%s never heard %s/%d", l.name, f.publisher.name, n)
			}
		}
	}
}

// pass notes that what lies before a number has not come.
func (f *follow) pass(upto int, told bool) {
	for n := f.next; n < upto; n++ {
		f.skipped[n] = told
	}
}
