package conformance

import (
	"strconv"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var spokeLaws = []Law{
	{"C20", "dead-spoke-first", Must, "a spoke whose connection is dead does not keep the others from an event",
		"a loop that ends at the first error", lawDeadSpoke},
	{"C21", "one-fifo", Must, "what one goroutine dispatches to all and to one spoke arrives there in that order",
		"a welcome that comes after what it explains", lawOneFIFO},
}

func lawDeadSpoke(t *T) {
	t.onlyHub()
	r := t.briefRig(4)
	t.need(r.Kill != nil && r.Spokes != nil, "the harness has no hook Kill or Spokes")
	a := t.name()
	var recs []*record
	for j := 2; j < 4; j++ {
		recs = append(recs, r.listen(j, eventtarget.T(a, "")))
	}
	r.Kill(1)
	const events = 20
	for n := range 2 * events {
		if n == events { // half of them while it may still be thought to be there
			t.eventually("the dead spoke leaves the set", func() bool { return len(r.Spokes()) == 2 })
		}
		r.dispatch(0, event{Type: a, Payload: raw(strconv.Itoa(n))})
	}
	for j, rec := range recs {
		for n, p := range payloads(rec.wait(2 * events)) {
			if p != strconv.Itoa(n) {
				t.Fatalf("spoke %d heard %s as event %d", j+2, p, n)
			}
		}
	}
}

func lawOneFIFO(t *T) {
	t.onlyHub()
	r := t.rig(3)
	t.need(r.Spoke != nil, "the harness has no hook Spoke")
	a := t.name()
	rec := r.listen(1, eventtarget.T(a, ""))
	const events = 1000
	for n := range events {
		e := event{Type: a, Payload: raw(strconv.Itoa(n))}
		if n%2 == 0 {
			r.dispatch(0, e)
		} else if err := r.Spoke(1).Dispatch(t.ctx, e); err != nil {
			t.Fatalf("Dispatch to a spoke: %v", err)
		}
	}
	for n, p := range payloads(rec.wait(events)) {
		if p != strconv.Itoa(n) {
			t.Fatalf("event %d is %s", n, p)
		}
	}
}
