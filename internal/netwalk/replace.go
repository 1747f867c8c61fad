package netwalk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// replace ends the hub, in one of the ways that there are, and begins another in its place.
func (w *walk) replace() {
	w.mu.Lock()
	old := w.server
	for _, m := range w.members {
		m.ear.closed = false
	}
	w.mu.Unlock()
	switch how := w.rng.IntN(4); {
	case w.store != nil:
		w.kill(old)
	case how == 0:
		w.note("the hub is closed")
		w.goes()
	default:
		w.goes()
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		defer cancel()
		if how == 1 { // it need not come to an end
			ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
		} else {
			w.heal()
			for _, m := range w.members {
				w.must(m.link.Ready(ctx))
			}
		}
		w.note("the hub shuts down")
		var err error
		if how == 2 {
			err = old.End.(interface {
				Restart(ctx context.Context, spread time.Duration) error
			}).Restart(ctx, 20*time.Millisecond)
		} else {
			err = old.End.Shutdown(ctx)
		}
		w.note("the hub has shut down: %v", err)
		if how != 1 {
			w.shutDown(err)
		}
	}
	w.stop(old)
	w.serve(old.Address)
	w.note("another hub is there")
	if w.store != nil {
		w.heal()
	}
}

// goes notes that a hub will be replaced.
func (w *walk) goes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replaced++
	for _, m := range w.members {
		m.coming, m.spoke = nil, nil
	}
}

// shutDown looks whether those have heard everything that a hub has told that it goes.
func (w *walk) shutDown(err error) {
	w.until(func() bool {
		for _, m := range w.members {
			if m.state == eventtarget.StateUp {
				return false
			}
		}
		return true
	})
	if err != nil {
		if w.kind == Roomy {
			w.must(err)
		}
		return
	}
	lacks := ""
	if !w.until(func() bool { lacks = w.lacking(); return lacks == "" }) {
		w.must(errors.New(lacks))
	}
}

// lacking says what somebody has not heard who was told that the hub goes. Under mu.
func (w *walk) lacking() string {
	for _, m := range w.members {
		for _, p := range w.publishers {
			if !m.ear.closed || p.by >= 0 || m.plain && (m.touched || m.lost) { // that may have been too late to join
				continue
			}
			lacks := m.ear.lacks(p, len(p.sent))
			if m.ear.missing+lacks <= m.ear.told {
				continue
			}
			lack := fmt.Sprintf("spoke %d was told that the hub goes, and lacks %d of %s, when it has heard up to %d of %d", m.n, lacks, p.name, m.ear.next[p], len(p.sent))
			if !m.held || !m.back {
				w.wrong("%s", lack)
			}
			return lack
		}
	}
	return ""
}

// kill ends a hub as the end of its process does.
func (w *walk) kill(old *Server) {
	w.note("the hub is killed")
	w.mu.Lock()
	for _, m := range w.members {
		m.coming, m.spoke = nil, nil
	}
	w.mu.Unlock()
	for _, m := range w.members {
		m.net.Away()
	}
	w.store.die()
	_ = old.End.Close()
}

// stop ends what is left of a hub.
func (w *walk) stop(old *Server) {
	_ = old.End.Close()
	select {
	case <-old.End.Done():
	case <-time.After(patience):
		w.must(errors.New("the goroutines of the hub have not ended"))
	}
	old.Stop()
	if w.store != nil {
		w.must(w.store.close())
	}
}

// gate is a store whose process can die: nothing gets into it any more.
type gate struct {
	hub.Store
	close func() error

	mu   sync.Mutex
	dead bool
}

func (g *gate) die() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead = true
}

func (g *gate) died() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dead
}

// Append implements [hub.Store].
func (g *gate) Append(records []hub.Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return fmt.Errorf("%w: the process has died", eventtarget.ErrUnknownOutcome)
	}
	return g.Store.Append(records)
}
