package netwalk

import (
	"context"
	"errors"
	"strconv"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// hole is what a hub has not heard of a spoke, before something that it has: it is judged when
// everything has come to rest, for what a spoke tells of it may come later.
type hole struct {
	of       *publisher
	from, to int
}

func asReason(err error) (eventtarget.Reason, bool) { return errors.AsType[eventtarget.Reason](err) }

// hears is the listener of the hub.
func (w *walk) hears(_ context.Context, ev event) {
	name, n, err := parse(ev.Payload)
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.publisher(name)
	switch {
	case err != nil || p == nil || p.by < 0 || n >= len(p.sent) || p.sent[n].topic != ev.Topic():
		w.wrong("the hub heard what nobody has sent so: %v %.60q: %v", ev.Topic(), ev.Payload, err)
		return
	case n < w.atHub[p] && ev.Redelivered:
		return
	case n < w.atHub[p] && p.late() && !p.sent[n].atHub:
		p.sent[n].atHub, p.sent[n].heard = true, true
		return
	case n < w.atHub[p]:
		w.wrong("the hub heard %s %d again, or behind %d", name, n, w.atHub[p]-1)
		return
	case p.sent[n].outcome == refused:
		w.wrong("the hub heard %s %d, which was refused", name, n)
		return
	}
	w.skips(p, n)
	p.sent[n].atHub, p.sent[n].heard = true, true
	w.atHub[p] = n + 1
}

// skips notes what the hub has not heard of a spoke up to a number. Under mu.
func (w *walk) skips(p *publisher, upto int) {
	from, to := -1, 0
	for n := w.atHub[p]; n <= upto; n++ {
		switch missing := n < upto && p.sent[n].outcome == accepted; {
		case missing && from < 0:
			from, to = n, n+1
		case missing:
			to = n + 1
		case from >= 0 && (n == upto || p.sent[n].outcome == unknown):
			w.holes = append(w.holes, hole{p, from, to})
			from = -1
		}
	}
	w.atHub[p] = max(w.atHub[p], upto)
}

// judge looks whether all that a hub has not heard was told to be missing. Under mu.
func (w *walk) judge() {
	for _, h := range w.holes {
		if h.to > h.of.fresh {
			w.wrong("the hub never heard %s %d to %d, and nothing was told of that behind %d", h.of.name, h.from, h.to-1, h.of.fresh)
		}
	}
	w.holes = nil
}

// connected is OnConnect.
func (w *walk) connected(s *hub.Spoke) {
	n := w.tr.Who(s)
	s.Join(strconv.Itoa(n % 2))
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[n]
	w.noted("spoke %d is at the hub", n)
	m.coming, m.spoke = s, nil
	m.ear.joined = w.positions()
}

// fault is OnFault of the hub.
func (w *walk) fault(f eventtarget.Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted("hub: %v %s %d %v", f.Kind, f.Peer, f.Count, f.Err)
	switch f.Kind {
	case eventtarget.FaultPanic, eventtarget.FaultDecode, eventtarget.FaultDispatch:
		w.wrong("hub: %v", f)
	case eventtarget.FaultDisconnected:
		w.ended("hub", &member{n: -1}, f.Err)
	}
}
