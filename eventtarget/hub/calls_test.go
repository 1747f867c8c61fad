package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// callWalk does at random what can be done with calls over hubs: from spokes, from hubs and to
// one spoke alone.
type callWalk struct {
	nemesis.Calls
	walk    walk // the hubs, and what joins them
	t       *testing.T
	rng     *rand.Rand
	options hub.Options
	loses   bool    // sessions may end
	dies    bool    // so may hubs
	store   *memory // what they leave then; nil: nothing
	bus     bool
	cancels []func()
	running sync.WaitGroup
	members []*countedBus

	spokes []*callSpoke
	ending []*callSpoke

	mu     sync.Mutex
	made   int
	sites  map[*nemesis.Place]site
	places []*nemesis.Place // that have not ended
}

// site is where a place is: a hub, a spoke's end, or, with both, the hub's end of it.
type site struct {
	hub   *hub.Hub
	spoke *callSpoke
}

// countedBus is a member of a bus that is late at times and knows how many listeners it has.
type countedBus struct {
	lateBus
	mu sync.Mutex
	n  int
}

func (b *countedBus) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[raw]) (*eventtarget.Registration, error) {
	r, err := b.lateBus.Add(ctx, topic, l)
	b.count(err == nil, 1)
	return r, err
}

func (b *countedBus) Remove(r *eventtarget.Registration) bool {
	removed := b.lateBus.Remove(r)
	b.count(removed, -1)
	return removed
}

func (b *countedBus) count(yes bool, more int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if yes {
		b.n += more
	}
	return b.n
}

func newCallWalk(t *testing.T, kind string, seed uint64) *callWalk {
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &callWalk{t: t, rng: rng, sites: make(map[*nemesis.Place]site), bus: kind == "three hubs", dies: kind == "a hub that dies" || kind == "a store"}
	w.walk.diary, w.walk.rng = diary{t: t}, rng
	w.T, w.Reaches, w.Hears = t, w.reaches, w.hears
	switch kind {
	case "a hub that dies":
		w.loses = true
	case "a store":
		w.store = new(memory)
	case "a ring": // whose bridges are to lose nothing
	default:
		w.loses = rng.IntN(2) == 0
	}
	w.options = hub.Options{Relay: rng.IntN(3) > 0, OnlySubscribed: rng.IntN(2) == 0, OnFault: w.fault, OnDisconnect: w.left}
	if w.loses {
		w.options.SessionTimeout = 1500 * time.Millisecond
	}
	n := 1
	if w.bus || kind == "a ring" {
		n, w.options.Relay, w.options.Bridged = 3, true, !w.bus
	}
	var bus inprocess.Bus
	for i := range n {
		w.begin(i)
		if w.bus {
			m := &countedBus{lateBus: lateBus{Target: bus.Join(nil)}}
			w.members = append(w.members, m)
			w.walk.late = append(w.walk.late, &m.delay)
			_, err := w.walk.hubs[i].Join(t.Context(), m, nil)
			w.must(err)
		}
	}
	if w.options.Bridged {
		for i := range n {
			w.walk.bridge(i)
		}
	}
	return w
}

func (w *callWalk) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
		w.Tell()
		w.t.FailNow()
	}
}

// fault looks at those that there may be: panics that were asked for, answers that somebody who
// closes cannot give, and gaps where sessions end, or answers to single spokes die with a hub.
func (w *callWalk) fault(f eventtarget.Fault) {
	w.Note("%v", f)
	switch f.Kind {
	case eventtarget.FaultOverflow:
		w.t.Error(f)
	case eventtarget.FaultGap:
		if !w.loses && !w.dies {
			w.t.Error(f)
		}
	}
}

// begin makes a hub, in the place of another one or not.
func (w *callWalk) begin(i int) {
	var h *hub.Hub
	if w.store != nil {
		h = storedHub(w.t, w.store, w.options)
	} else {
		h = newHub(w.t, w.options)
	}
	w.mu.Lock()
	w.walk.hubs = append(w.walk.hubs[:i:i], append([]*hub.Hub{h}, w.walk.hubs[min(i+1, len(w.walk.hubs)):]...)...)
	w.mu.Unlock()
	w.listen(w.place(fmt.Sprint("hub", i), h, site{hub: h}))
}

// place adds a place.
func (w *callWalk) place(name string, target eventtarget.Target, at site) *nemesis.Place {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made++
	p := &nemesis.Place{Name: fmt.Sprintf("%s (%d)", name, w.made), Target: target}
	w.sites[p] = at
	w.places = append(w.places, p)
	return p
}

// listen has somebody hear all answers at a place.
func (w *callWalk) listen(p *nemesis.Place) (regs []*eventtarget.Registration) {
	for _, m := range nemesis.Methods {
		r, err := p.Target.Add(w.t.Context(), eventtarget.T(m.Name+".answered", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
			var reply nemesis.Reply
			if err := json.Unmarshal(e.Payload, &reply); err != nil {
				w.t.Error(err)
			}
			w.Overhears(p, reply)
		}))
		w.must(err)
		regs = append(regs, r)
	}
	return regs
}

// at returns where places are.
func (w *callWalk) at(places ...*nemesis.Place) (all []site) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range places {
		all = append(all, w.sites[p])
	}
	return all
}

// reaches is what docs/semantics.md says of hubs and their spokes.
func (w *callWalk) reaches(from, to *nemesis.Place) bool {
	at := w.at(from, to)
	a, b := at[0], at[1]
	switch {
	case a.spoke != nil && a.hub != nil: // one spoke alone
		return b.spoke == a.spoke && b.hub == nil
	case b.spoke != nil && b.hub != nil:
		return a.spoke == b.spoke
	case a.spoke != nil && b.spoke != nil:
		return a.spoke != b.spoke && w.options.Relay
	case a.hub != nil && b.hub != nil:
		return a.hub != b.hub && w.options.Bridged
	}
	return true
}

// hears: an answer to a hub's own spoke is for that alone; any other goes to all, and back by
// the other way round where bridges are the peers that it goes to.
func (w *callWalk) hears(server, caller, at *nemesis.Place) bool {
	sites := w.at(server, caller)
	s, c := sites[0], sites[1]
	if s.hub != nil && c.hub == nil {
		c.spoke.mu.Lock()
		defer c.spoke.mu.Unlock()
		if c.spoke.at == s.hub {
			return false
		}
	}
	return w.options.Bridged || w.reaches(server, at)
}
