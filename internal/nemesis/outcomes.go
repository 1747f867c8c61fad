package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// begin notes that a service has begun to serve a call. Under mu.
func (k *Calls) begin(ctx context.Context, s *Service, c *call) *run {
	k.note("%d begins at %d", c.number, s.n)
	sure := c.number >= s.from && !c.lost
	switch {
	case c.runs[s] != nil:
		k.wrong("%d is served twice by %d", c.number, s.n)
	case c.method != s.method:
		k.wrong("%d is for another method than that of %d", c.number, s.n)
	case !k.Reaches(c.place, s.place):
		k.wrong("%d, of %s, is served by %d, at %s", c.number, c.place.Name, s.n, s.place.Name)
	case c.dead:
		k.wrong("%d is served by %d, and was over before it began", c.number, s.n)
	case c.told && sure:
		k.wrong("%d, which was cancelled, is begun by %d", c.number, s.n)
	case s.resting:
		k.wrong("%d is begun by %d, which was closed", c.number, s.n)
	case s.concurrent == 1 && c.epoch < s.newest && sure:
		k.wrong("%d is begun by %d behind what was asked later", c.number, s.n)
	}
	if s.running++; s.running > s.concurrent {
		k.wrong("%d serves %d at once", s.n, s.running)
	}
	s.newest = max(s.newest, c.epoch)
	r := &run{ctx: ctx, do: c.do}
	c.runs[s] = r
	return r
}

// outcome compares what a call has returned with what happened.
func (k *Calls) outcome(c *call, reply Reply, err error) {
	if !c.over.IsZero() && time.Since(c.over) > slack {
		k.wrong("%d returns %v behind the end of its context", c.number, time.Since(c.over))
	}
	f, failed := errors.AsType[*eventtarget.Failure](err)
	switch {
	case err == nil:
		k.answered(c, reply, Answer, Late, Patient, Ask)
	case failed && f.Text == "internal error":
		for _, r := range c.runs {
			if r.do == Panic || r.do == Exit {
				return
			}
		}
		k.wrong("%d: nobody panicked: %v", c.number, err)
	case failed:
		if _, err := fmt.Sscanf(f.Text, "no. %d of %d", &reply.Number, &reply.By); err != nil {
			k.wrong("%d: %q: %v", c.number, f.Text, err)
			return
		}
		k.answered(c, reply, Fail, Bad)
	case c.ctx.Err() != nil && errors.Is(err, context.Cause(c.ctx)):
		c.cancelled = !c.place.ended() && !c.place.Narrow // else it may have had no way to say so
	case c.place.ended() && (errors.Is(err, eventtarget.ErrClosed) || errors.Is(err, eventtarget.ErrGone) || errors.Is(err, eventtarget.ErrUnknownOutcome)):
	case errors.Is(err, eventtarget.ErrOverflow) && c.place.Refuses:
	default:
		k.wrong("%d, at %s: %v, and its context's error is %v", c.number, c.place.Name, err, c.ctx.Err())
	}
}

// answered looks whether somebody has answered so.
func (k *Calls) answered(c *call, reply Reply, as ...Do) {
	r := c.runs[k.services[reply.By]]
	if reply.Number != c.number || r == nil || !r.over {
		k.wrong("%d hears the answer to %d, of %d", c.number, reply.Number, reply.By)
		return
	}
	if !slices.Contains(as, r.do) {
		k.wrong("%d is answered, and was to be %d", c.number, r.do)
	}
}

// Overhears tells that somebody else at a place hears an answer.
func (k *Calls) Overhears(p *Place, reply Reply) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, s := k.calls[reply.Number], k.services[reply.By]
	k.note("%s hears the answer of %d to %d", p.Name, s.n, c.number)
	if p != c.place && !k.Hears(s.place, c.place, p) {
		k.wrong("%s hears the answer of %s to %d, which is for %s", p.Name, s.place.Name, c.number, c.place.Name)
	}
}

// Rest looks at what has become of everything, when nothing is under way any more and every
// place is connected.
func (k *Calls) Rest() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.epoch++
	k.note("at rest")
	for _, c := range k.calls {
		if !c.returned {
			k.waits(c)
		}
		for s, r := range c.runs {
			left := c.cancelled && !c.lost && c.number >= s.from && k.Reaches(c.place, s.place)
			if (left || s.closed) && !r.over && r.ctx.Err() == nil {
				k.wrong("%d still serves %d, for which nobody waits, in a context that goes on", s.n, c.number)
			}
		}
		c.told = c.cancelled
	}
	for _, s := range k.services {
		if s.Service == nil {
			continue
		}
		select {
		case <-s.Done():
			if s.running > 0 || !s.closed && !s.place.closed {
				k.wrong("%d has ended, and is to serve, or does: %d", s.n, s.running)
			}
		default:
			if s.running == 0 && s.closed {
				k.wrong("%d is closed, serves nothing, and has not ended", s.n)
			}
		}
	}
}

// waits looks at why a call still waits. Under mu.
func (k *Calls) waits(c *call) {
	switch {
	case !c.over.IsZero() && time.Since(c.over) > slack:
		k.wrong("%d waits, and its context has ended %v ago", c.number, time.Since(c.over))
	case c.place.closed:
		k.wrong("%d waits at %s, which is closed", c.number, c.place.Name)
	}
	if c.lost || c.ctx.Err() != nil {
		return
	}
	for _, s := range k.services {
		if s.method != c.method || c.number < s.from || !k.Reaches(c.place, s.place) {
			continue
		}
		switch r := c.runs[s]; {
		case r == nil && s.running < s.concurrent && !s.lossy:
			k.wrong("%d waits, and %d, which serves %d others, has not begun", c.number, s.n, s.running)
		case r != nil && r.over && r.heard && k.Reaches(s.place, c.place) && !s.place.Refuses:
			k.wrong("%d waits, and %d has answered", c.number, s.n)
		}
	}
}
