package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// TestRandom: whatever is done to targets in Node, over WebSocket and over Server-Sent Events, to
// the networks before them and to their hub, everyone hears all that is for it, once and in the
// order of each dispatcher, or is told a gap where something is missing.
func TestRandom(t *testing.T) {
	for _, kind := range []string{"one hub", "sessions end", "hubs die", "a store"} {
		t.Run(kind, func(t *testing.T) {
			nemesis.Walk(t, 1, func(t *testing.T, seed uint64) {
				w := newWalk(t, kind, seed)
				for range 4 {
					w.connect()
				}
				for range 200 {
					w.step()
				}
				w.arrive()
				for _, p := range w.present() {
					w.dispatch(func(*target) certainty { return must }, w.hub.Dispatch)
					if !p.sse {
						w.tell(w.saying(p))
					}
				}
				w.ping()
				w.arrive()
			})
		})
	}
}

func (w *walk) anyone() *target {
	all := w.present()
	if len(all) == 0 { // each has closed itself
		w.connect()
		w.ping()
		all = w.present()
	}
	return all[w.rng.IntN(len(all))]
}

func (w *walk) step() {
	w.read()
	p := w.anyone()
	switch r := w.rng.IntN(100); {
	case r < 30:
		w.fromHub()
	case r < 32:
		for range 100 {
			w.dispatch(func(*target) certainty { return must }, w.hub.Dispatch)
		}
	case r < 50:
		w.tell(w.saying(p))
	case r < 60:
		w.listen(p)
	case r < 67:
		there := slices.DeleteFunc(slices.Clone(p.ears), func(e *ear) bool { return e.removed > 0 })
		if len(there) > 0 {
			w.tell(command{Do: "remove", T: p.n, Ear: there[w.rng.IntN(len(there))].n})
		}
	case r < 82:
		w.fault(p)
	case r < 86:
		w.settle(p)
	case r < 87:
		w.arrive()
	case r < 89 && len(w.present()) < 6:
		w.connect()
	case r < 91 && len(w.present()) > 3:
		w.tell(command{Do: "close", T: p.n})
		w.ping()
	case r < 93 && w.restarts:
		w.die()
	case r < 96 && w.options.SessionTimeout > 0:
		w.expire(p)
	case r < 97 && !w.strict:
		w.settle(p)
		w.note("%d is disconnected", p.n)
		w.hub.Identity(strconv.Itoa(p.n)).Disconnect(eventtarget.Reason{Code: eventtarget.CodeRestart, Retry: 5 * time.Millisecond})
	default:
		w.ping()
	}
}

func (w *walk) fault(p *target) {
	what := w.rng.IntN(8)
	w.note("fault %d at %d", what, p.n)
	switch what {
	case 0:
		p.proxy.Cut()
	case 1, 2:
		p.proxy.Break()
	case 3:
		p.proxy.Stall()
		if p.open && p.beats && !p.sse && w.one(3) { // it finds out by itself
			w.until(func() string { return "down" }, func() bool { return !p.open })
		}
	case 4:
		p.proxy.Stall(pick(w, faultnet.ToClient, faultnet.ToServer))
	case 5:
		p.proxy.Shred(1 + w.rng.IntN(100))
	case 6:
		p.proxy.Rate(200_000)
	case 7:
		p.proxy.Heal()
	}
}

// expire keeps a target away until the hub has given it up.
func (w *walk) expire(p *target) {
	w.note("%d is away for long", p.n)
	p.proxy.Cut()
	w.until(func() string { return "it is there" }, func() bool { return !w.has(p) })
	if w.one(2) {
		p.proxy.Heal()
	}
}

func (w *walk) fromHub() {
	all := func(*target) certainty { return must }
	p := w.anyone()
	// What is for some alone stands in no log: who goes on by its place there may have missed it.
	// Who has just come hears it first.
	some := func(of func(*target) bool) func(*target) certainty {
		return func(q *target) certainty {
			switch {
			case !of(q):
				return never
			case q.sse || !w.hasBegun(q):
				return may
			}
			return must
		}
	}
	what := w.rng.IntN(6)
	if !w.own && what < 2 {
		what = 5
	}
	switch what {
	case 0:
		w.dispatch(some(func(q *target) bool { return q == p }), w.hub.Identity(strconv.Itoa(p.n)).Dispatch)
	case 1:
		group := pick(w, "even", "odd")
		w.dispatch(some(func(q *target) bool { return groupOf(strconv.Itoa(q.n)) == group }), w.hub.Group(group).Dispatch)
	case 2:
		if p.sse {
			return
		}
		w.settle(p)
		w.except(p, slices.Collect(w.spokes(p)))
	default:
		w.dispatch(all, w.hub.Dispatch)
	}
}

func (w *walk) except(p *target, those []*hub.Spoke) {
	w.dispatch(func(q *target) certainty {
		if q == p {
			return never
		}
		return must
	}, func(ctx context.Context, e eventtarget.Event[raw]) error {
		return w.hub.DispatchExcept(ctx, e, those...)
	})
}

// connect makes another target.
func (w *walk) connect() {
	proxy, err := faultnet.NewProxy(w.server)
	w.must(err)
	w.t.Cleanup(proxy.Close)
	p := w.add(proxy, w.one(3))
	c := command{Do: "make", T: p.n, SSE: p.sse, URL: fmt.Sprintf("ws://%s/ws/%d", proxy.Addr, p.n), Heartbeat: pick(w, 300, 15_000)}
	p.beats = c.Heartbeat < 1000
	if p.sse {
		c.URL = fmt.Sprintf("http://%s/sse/%d", proxy.Addr, p.n)
	}
	w.tell(c)
	w.listen(p)
}

var topics = []string{"a:1", "a:2", "b:1", "a:*", "b:*", "*"}

func (w *walk) listen(p *target) { w.tell(w.listener(p, 2)) }

// listener is a new one, which may do something else when it hears something first.
func (w *walk) listener(p *target, deep int) command {
	w.ears++
	c := command{Do: "add", T: p.n, Ear: w.ears, Topic: pick(w, topics...), Once: w.one(8)}
	if deep > 0 && w.one(3) {
		for range 1 + w.rng.IntN(2) {
			switch w.rng.IntN(20) {
			case 0:
				if len(w.present()) > 3 && w.one(2) {
					c.Then = append(c.Then, command{Do: "close", T: p.n})
				}
			case 1, 2, 3, 4, 5:
				c.Then = append(c.Then, command{Do: "remove", T: p.n, Ear: c.Ear})
			case 6, 7, 8, 9, 10:
				c.Then = append(c.Then, w.listener(p, deep-1))
			default:
				c.Then = append(c.Then, w.saying(p))
			}
		}
	}
	return c
}

func (w *walk) saying(p *target) command {
	return command{Do: "say", T: p.n, Topic: pick(w, topics[:3]...), Size: w.size()}
}

func (w *walk) size() int { return pick(w, 0, 0, 0, 0, 0, 10, 2000, 40_000) }

// dispatch dispatches an event from the hub; never are those who are not to hear it.
func (w *walk) dispatch(to func(*target) certainty, send func(context.Context, eventtarget.Event[raw]) error) {
	w.read()
	e := w.says("hub", pick(w, topics[:3]...), w.size())
	for _, p := range w.targets {
		e.to[p.n] = to(p)
	}
	w.note("hub %d: %v, %d bytes, to %v", e.n, e.topic, e.size, e.to)
	text, err := json.Marshal([]any{"hub", e.n, strings.Repeat("x", e.size)})
	w.must(err)
	w.must(send(w.t.Context(), eventtarget.Event[raw]{Type: e.topic.Type, ID: e.topic.ID, Payload: text}))
}
