package netwalk

import (
	"context"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// ear is what a spoke hears, and how far it is with each publisher. All of it is under the
// walk's mu.
type ear struct {
	walk   *walk
	member *member
	next   map[*publisher]int
	// Of what was dispatched before these numbers anything may be missing: something of
	// unknown size was told to be, or the spoke has just joined.
	fresh, joined map[*publisher]int

	missing, told int  // since then: events
	others        int  // of those that it did not hear and need not: a gap may count them
	unknowns      int  // gaps of unknown size
	replaced      int  // how many hubs had been replaced when it began
	begun         bool // it has been told that it is connected
	closed        bool // its hub has said that it goes
	over          bool
}

// positions are the numbers of what each publisher dispatches next. Under mu.
func (w *walk) positions() map[*publisher]int {
	at := make(map[*publisher]int)
	for _, p := range w.publishers {
		at[p] = len(p.sent)
	}
	return at
}

func (w *walk) publisher(name string) *publisher {
	for _, p := range w.publishers {
		if p.name == name {
			return p
		}
	}
	return nil
}

// handle is the spoke's listener.
func (e *ear) handle(_ context.Context, ev event) {
	name, n, err := parse(ev.Payload)
	w := e.walk
	w.mu.Lock()
	hold := e.member.hold
	if c := e.member.coming; c != nil {
		e.member.coming, e.member.spoke = nil, c
	}
	p := w.publisher(name)
	switch k := e.member.n; {
	case e.over:
	case err != nil || p == nil || n >= len(p.sent) || p.sent[n].topic != ev.Topic():
		w.wrong("spoke %d heard what nobody has sent so: %v %.60q: %v", k, ev.Topic(), ev.Payload, err)
	case n < e.next[p] && p.late() && !p.sent[n].by[k]:
		p.sent[n].heard, p.sent[n].by[k] = true, true
	case n < e.next[p]:
		w.wrong("spoke %d heard %s %d again, or behind %d", k, name, n, e.next[p]-1)
	case !p.sent[n].to[k] && !p.sent[n].maybe[k] && p.sent[n].but[k] == e.member:
		w.wrong("spoke %d heard %s %d, which is not for it", k, name, n)
	case p.sent[n].outcome == refused:
		w.wrong("spoke %d heard %s %d, which was refused", k, name, n)
	default:
		e.heard(p, n)
	}
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

func (e *ear) heard(p *publisher, n int) {
	e.skip(p, n)
	p.sent[n].heard, p.sent[n].by[e.member.n] = true, true
	e.next[p] = n + 1
	if e.missing > e.told {
		e.walk.wrong("spoke %d heard %s %d, before which %d events are missing, and %d were told to be", e.member.n, p.name, n, e.missing, e.told)
	}
}

// skip counts what is missing of a publisher's events up to a number.
func (e *ear) skip(p *publisher, upto int) {
	for n := e.next[p]; n < upto; n++ {
		switch {
		case e.wants(p, n) && !p.late(): // else it may come yet
			if e.missing++; e.missing == e.told+1 {
				e.walk.noted("spoke %d passes over %s %d", e.member.n, p.name, n)
			}
		case p.sent[n].to[e.member.n] || p.sent[n].maybe[e.member.n] || p.sent[n].but[e.member.n] != e.member:
			e.others++
		}
	}
	e.next[p] = max(e.next[p], upto)
}

// lacks counts what is missing of a publisher's events that were dispatched before a number and
// are not heard by now.
func (e *ear) lacks(p *publisher, upto int) (lacks int) {
	for n := e.next[p]; n < upto; n++ {
		if e.wants(p, n) {
			lacks++
		}
	}
	return lacks
}

// wants tells whether an event is to be heard, or told to be missing.
func (e *ear) wants(p *publisher, n int) bool {
	s, k := &p.sent[n], e.member.n
	switch {
	case !e.begun || !s.to[k] || s.outcome != accepted || n < e.fresh[p] || s.narrow && n < e.joined[p]:
		return false
	case p.by >= 0 && !s.atHub && e.walk.kind != Store: // the hub has not heard it either, see holes
		return false
	case e.walk.policy != eventtarget.Conflate:
		return true
	}
	for _, later := range p.sent[n+1:] {
		if later.topic == s.topic && later.to[k] && later.outcome != refused {
			return false // it has taken its place
		}
	}
	return true
}

// fault is the OnFault hook of the spoke.
func (e *ear) fault(f eventtarget.Fault) {
	w := e.walk
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted("spoke %d: %v %d %v", e.member.n, f.Kind, f.Count, f.Err)
	if e.over || w.closing {
		return
	}
	switch f.Kind {
	case eventtarget.FaultPanic, eventtarget.FaultDecode, eventtarget.FaultDispatch:
		w.wrong("spoke %d: %v", e.member.n, f)
	case eventtarget.FaultDisconnected:
		w.ended("spoke", e.member, f.Err)
		if r, ok := asReason(f.Err); ok && r.Remote && (r.Code == eventtarget.CodeGoingAway || r.Code == eventtarget.CodeRestart) {
			e.closed = true
		}
	case eventtarget.FaultGap:
		e.gap(int(f.Count)) //nolint:gosec // it is small
	}
}

// gap is for so many events that are told to be missing; 0: it is not known how many.
func (e *ear) gap(count int) {
	w := e.walk
	if count > 0 {
		if e.told += count; w.kind == Roomy || w.kind == Store {
			w.wrong("spoke %d is told that %d events are missing, where there is room for all", e.member.n, count)
		}
		return
	}
	e.unknowns++
	e.member.says.fresh = len(e.member.says.sent)
	e.missing, e.told, e.others = 0, 0, 0
	e.fresh = w.positions()
	allowed := w.replaced - e.replaced
	switch {
	case w.kind == Small || e.member.plain && (e.member.touched || allowed > 0): // also at a hub that goes
	case w.kind == Store && w.policy == eventtarget.Conflate: // no place says what it has
	case w.kind == Store: // the next process has it
		w.wrong("spoke %d is told a gap of unknown size, with a store", e.member.n)
	case e.unknowns > allowed:
		w.wrong("spoke %d is told a gap of unknown size for the %d. time, when %d hubs have gone", e.member.n, e.unknowns, allowed)
	}
}

// ended looks at the reason why a connection has ended.
func (w *walk) ended(who string, m *member, err error) {
	switch r, ok := asReason(err); {
	case !ok || w.closing:
	case r.Code == eventtarget.CodeProtocol || r.Code == eventtarget.CodeMalformed || r.Code == eventtarget.CodeTooLarge || r.Code == eventtarget.CodeInternal:
		w.wrong("%s %d: the connection has ended with %v", who, m.n, err)
	}
}
