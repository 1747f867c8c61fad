package redis_test

import (
	"context"
	"runtime/pprof"
	"strconv"
	"time"
)

func (w *groupWalk) step() {
	switch r := w.rng.IntN(100); {
	case r < 35:
		w.burst(w.speakers[w.rng.IntN(len(w.speakers))])
	case r < 45:
		select { // which may wait for a way to the server
		case <-w.speakers[w.rng.IntN(len(w.speakers))].busy:
		case <-time.After(time.Second / 20):
		}
	case r < 53:
		if len(w.present()) < 8 {
			w.listen(w.join([]string{"g", "h"}[w.rng.IntN(2)]), time.Second/10)
		}
	case r < 65:
		w.part(w.anyone(), w.rng.IntN(3))
	case r < 75:
		w.hold(w.anyone())
	case r < 81:
		w.unlisten(w.anyone())
	case r < 85:
		w.listen(w.anyone(), time.Second/10)
	case r < 88:
		<-time.After(w.options.ClaimAfter / 2)
	case w.narrow && r < 91:
		n := strconv.Itoa(w.rng.IntN(20))
		w.note("the log is trimmed to %s", n)
		w.server.Do("XTRIM", w.options.Prefix+":log", "MAXLEN", n)
	case w.calm:
	default:
		w.disturb()
	}
}

// disturb does something to connections, or to the server.
func (w *groupWalk) disturb() {
	m := w.anyone()
	switch r := w.rng.IntN(6); {
	case w.killed:
		w.restart()
	case r == 0 && !w.narrow: // which would forget everything
		w.note("the server is killed")
		w.server.Kill()
		w.killed = true
	case r == 1:
		w.note("all are cut")
		w.server.Do("CLIENT", "KILL", "TYPE", "normal")
	case r == 2:
		ms := strconv.Itoa(1 + w.rng.IntN(300))
		w.note("pause for %s ms", ms)
		w.server.Do("CLIENT", "PAUSE", ms)
	case r == 3:
		w.note("%d is cut", m.n)
		m.proxy.Break()
	case r == 4 && !w.orderly:
		w.note("%d stalls", m.n)
		w.stalled(m)
		m.proxy.Stall()
	default:
		w.note("%d gets through", m.n)
		m.proxy.Heal()
	}
}

// stalled notes that what a member sends may come late.
func (w *groupWalk) stalled(m *hand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.speakers {
		s.late = s.late || s.by == m
	}
}

func (w *groupWalk) restart() {
	if w.killed {
		w.note("the server is back")
		// Whatever goroutine reads its log is none of the walk's.
		pprof.Do(context.Background(), pprof.Labels("walk", "server"), func(context.Context) { w.server.Restart() })
		w.killed = false
	}
}

// part ends a member, in one of three ways, if its group keeps another one.
func (w *groupWalk) part(m *hand, how int) {
	others := 0
	for _, o := range w.present() {
		if o.team == m.team {
			others++
		}
	}
	if others < 2 {
		return
	}
	if how == 2 && !w.orderly && w.one(2) { // in the middle of something, perhaps
		for _, o := range w.present() {
			if o.team == m.team && o.held != nil {
				m = o
			}
		}
	}
	m.gone = true
	switch {
	case w.orderly:
		how = 0
	case how == 0 && w.killed: // or it waits for the server, and leaves nothing in order
		how = 1
	}
	switch how {
	case 0:
		w.note("%d shuts down", m.n)
		w.release(m)
		w.ends.Go(func() { w.shutdown(m) })
		return
	case 1:
		w.note("%d closes", m.n)
	default:
		w.note("%d dies", m.n)
		m.proxy.Cut()
		m.mu.Lock()
		m.dead = true
		m.mu.Unlock()
	}
	_ = m.Close()
	w.release(m)
}

func (w *groupWalk) shutdown(m *hand) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := m.Shutdown(ctx); err != nil {
		w.t.Errorf("%d shuts down: %v", m.n, err)
	}
}

// hold keeps a member's listener from returning, or lets it.
func (w *groupWalk) hold(m *hand) {
	if w.release(m) {
		return
	}
	w.note("%d holds", m.n)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = make(chan struct{})
}

func (w *groupWalk) release(m *hand) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		return false
	}
	w.note("%d goes on", m.n)
	close(m.held)
	m.held = nil
	return true
}
