package netwalk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// patience is for what must come to an end.
const patience = 20 * time.Second

// serve starts a hub, where the one before was.
func (w *walk) serve(address string) {
	o := w.opts
	if w.dir != "" {
		files, err := filestore.Open(w.dir, nil)
		w.must(err)
		w.store = &gate{Store: files, close: files.Close}
		o.Store = w.store
	}
	s, err := w.tr.Listen(address, o)
	w.must(err)
	store := w.store
	_, err = s.Add(w.t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: func(ctx context.Context, e event) {
		if store == nil || !store.died() { // nobody hears anything in a process that has
			w.hears(ctx, e)
		}
	}})
	w.must(err)
	if w.store != nil {
		w.must(s.Redeliver(w.t.Context()))
	}
	w.mu.Lock()
	w.server = s
	w.mu.Unlock()
}

// join connects a spoke, in the place of one that has left.
func (w *walk) join(n int) {
	m := &member{n: n, plain: w.kind != Store && w.one(3)}
	m.ear = &ear{walk: w, member: m, next: make(map[*publisher]int)}
	m.says = &publisher{name: fmt.Sprintf("spoke%d.%d", n, len(w.publishers)), by: n, member: m}
	o := link.Options{
		OnFault: m.ear.fault, Backoff: link.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond},
		OnState: func(c link.Change) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if m.state = c.State; c.State == eventtarget.StateDown {
				m.back, m.lost = true, true
			}
			w.noted("spoke %d: %v, resumed %t, %v", n, c.State, c.Resumed, c.Cause)
		},
		Setup: func(l *link.Link) {
			_, err := l.Add(w.t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: m.ear.handle})
			w.must(err)
		},
		Heartbeat: 20 * time.Millisecond, Misses: 1 << 20,
	}
	if !m.plain {
		o.Subscribe = w.one(3)
		if w.one(2) { // it notices by itself that nobody answers
			o.Heartbeat, o.Misses = 50*time.Millisecond, 3
		}
	}
	if w.kind == Small {
		o.LogEvents, o.Overflow = 16<<w.rng.IntN(5), []eventtarget.Overflow{eventtarget.Reject, eventtarget.Block}[w.rng.IntN(2)]
	}
	w.mu.Lock()
	w.members[n] = m
	w.publishers = append(w.publishers, m.says)
	m.ear.replaced = w.replaced
	m.ear.joined = w.positions()
	address := w.server.Address
	w.noted("spoke %d joins as %s, plain %t, subscribe %t, heartbeat %v, %v", n, m.says.name, m.plain, o.Subscribe, o.Heartbeat, o.Overflow)
	w.mu.Unlock()
	l, net, err := w.tr.Dial(n, address, m.plain, o)
	w.must(err)
	m.link, m.net = l, net
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	w.must(l.Ready(ctx))
	w.mu.Lock()
	defer w.mu.Unlock()
	m.ear.begun, m.ear.fresh = true, w.positions()
}

// leave ends a spoke: in order, or at once.
func (w *walk) leave(m *member) {
	m.net.Heal()
	w.letGo(m)
	if w.one(2) || w.policy == eventtarget.Block {
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		defer cancel()
		w.note("spoke %d shuts down", m.n)
		err := m.link.Shutdown(ctx)
		w.mu.Lock()
		m.says.cut = m.plain // nobody tells it what has arrived
		if err != nil && !(w.kind == Small && errors.Is(err, eventtarget.ErrClosed)) {
			w.wrong("spoke %d cannot be shut down: %v", m.n, err)
		}
		w.mu.Unlock()
	} else {
		w.note("spoke %d is closed", m.n)
		w.mu.Lock()
		m.says.cut = true
		w.mu.Unlock()
	}
	w.end(m)
	w.join(m.n)
}

// end ends what there is of a spoke.
func (w *walk) end(m *member) {
	w.mu.Lock()
	m.ear.over, m.says.ended, m.coming, m.spoke = true, true, nil, nil
	w.mu.Unlock()
	_ = m.link.Close()
	select {
	case <-m.link.Done():
	case <-time.After(patience):
		w.must(fmt.Errorf("the goroutines of spoke %d have not ended", m.n))
	}
	m.net.Close()
}

// letGo ends a hold.
func (w *walk) letGo(m *member) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.hold != nil {
		close(m.hold)
		m.hold = nil
	}
}

// heal ends every fault.
func (w *walk) heal() {
	for _, m := range w.members {
		m.net.Heal()
		w.letGo(m)
	}
	w.note("healed")
}

// step does something to a spoke, or to the hub.
func (w *walk) step() {
	m := w.members[w.rng.IntN(spokes)]
	touch := func(what string, args ...any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		m.touched = true
		w.noted("spoke %d: "+what, append([]any{m.n}, args...)...)
	}
	switch r := w.rng.IntN(100); {
	case r < 20:
		touch("its connection breaks")
		m.net.Break()
	case r < 28:
		touch("its network is away")
		m.net.Away()
	case r < 46:
		way := w.rng.IntN(3)
		touch("its connection hangs, %d", way)
		m.net.Hang(way)
	case r < 54:
		touch("its connection is stranded")
		m.net.Strand()
	case r < 64:
		by := w.rng.Int()
		touch("its network becomes worse")
		m.net.Worsen(by)
	case r < 78:
		w.mu.Lock()
		if m.hold == nil {
			m.hold, m.held = make(chan struct{}), true
		}
		w.noted("spoke %d does not listen", m.n)
		w.mu.Unlock()
	case r < 84:
		m.net.Heal()
		w.letGo(m)
		w.note("spoke %d is healed", m.n)
	case r < 90:
		w.replace()
	default:
		w.leave(m)
	}
	w.pause(60 * time.Millisecond)
	if w.one(2) {
		m.net.Heal()
		w.letGo(m)
		w.note("spoke %d is healed", m.n)
	}
}
