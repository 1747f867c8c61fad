package redis_test

import (
	"context"
	"math/rand/v2"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// TestRandomGroups: whatever is done to the members of two groups and to their server, each
// group handles everything that was accepted, hears no event unmarked more than once, none
// that was confirmed, and each member hears in order what is new; what a log that is trimmed
// has no more is told. In the end nothing is left that is not confirmed, and no goroutine.
func TestRandomGroups(t *testing.T) {
	for _, kind := range []string{"dying", "kept", "forgetful"} {
		t.Run(kind, func(t *testing.T) {
			var args []string
			switch kind {
			case "kept":
				args = keeps
			case "forgetful":
				args = []string{"--stream-node-max-entries", "5"}
			}
			server := redistest.Start(t, args...)
			n := 0
			nemesis.Walk(t, 1, func(t *testing.T, seed uint64) {
				n++
				w := newGroupWalk(t, kind, seed, server)
				w.options.Prefix = "walk" + strconv.Itoa(n)
				label := "walk" + strconv.FormatUint(seed, 10)
				pprof.Do(t.Context(), pprof.Labels("walk", label), func(context.Context) { w.run() })
				if stacks := awaitEnd(label); stacks != "" {
					t.Errorf("goroutines that do not end:\n%s", stacks)
				}
			})
		})
	}
}

func newGroupWalk(t *testing.T, kind string, seed uint64, server *redistest.Server) *groupWalk {
	w := &groupWalk{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), server: server, sent: make(map[string]bool),
		teams: map[string]*team{"g": newTeam("g"), "h": newTeam("h")},
	}
	w.calm, w.narrow = kind == "dying", kind == "forgetful"
	w.options.ClaimAfter = time.Duration(100+w.rng.IntN(200)) * time.Millisecond
	if w.narrow {
		w.options.LogEvents = 5 << w.rng.IntN(6)
		w.orderly = w.one(2)
	}
	if !w.calm && w.one(3) {
		w.options.Timeout = 200 * time.Millisecond // so that a pause ends connections
	}
	return w
}

func (w *groupWalk) run() {
	defer func() {
		if w.t.Failed() {
			w.t.Log(strings.Join(w.trace, "\n"))
		}
	}()
	defer w.end()
	for _, name := range []string{"x", "y"} {
		w.speaks(w.target(w.server.URL(), redis.Options{OnFault: quiet}), name, nil)
	}
	for range 2 {
		w.begin()
		for range 30 {
			w.step()
		}
		w.settle()
	}
	// Who comes now is given nothing but what is new.
	w.begin()
	w.burst(w.speakers[0])
	w.settle()
	for _, g := range w.teams {
		w.t.Logf("%s: %d events, %d heard again, %d marked", g.name, len(g.events), g.repeats, g.marked)
	}
}

// begin has members of each group join, which are there before anything is dispatched.
func (w *groupWalk) begin() {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for _, name := range []string{"g", "h"} {
		for range 1 + w.rng.IntN(3) {
			m := w.join(name)
			if err := m.Ready(ctx); err != nil {
				w.t.Fatal(err)
			}
			w.listen(m, patience)
		}
	}
}

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

// settle mends everything, waits until nothing is under way, has all members leave, and holds
// what was heard against what was dispatched.
func (w *groupWalk) settle() {
	w.restart()
	for _, m := range w.hands {
		m.proxy.Heal() // also of those that shut down
	}
	for _, m := range w.present() {
		w.release(m)
		w.listen(m, patience)
	}
	for _, s := range w.speakers {
		w.await("the end of a burst", s.busy)
	}
	for name := range w.teams {
		w.calmDown(name)
	}
	for _, m := range w.present() {
		m.gone = true
		w.ends.Go(func() { w.shutdown(m) })
	}
	w.ends.Wait()
	for name, g := range w.teams {
		if _, held, _ := w.standing(name); held != 0 {
			w.t.Errorf("%s leaves %d events behind", name, held)
		}
		w.check(g)
	}
	w.note("all is settled")
}

// calmDown waits until a group has confirmed all of the log. A listener with Once may have
// left a member without any.
func (w *groupWalk) calmDown(group string) {
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		at, held, end := w.standing(group)
		if at == end && held == 0 {
			return
		}
		for _, m := range w.present() {
			w.listen(m, patience)
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("%s stays at %s with %d events that are not confirmed, and the log ends at %s", group, at, held, end)
		}
	}
}

// standing tells how far a group is, how much it has not confirmed, and how far the log is.
func (w *groupWalk) standing(group string) (at string, held int64, end string) {
	c := w.server.Client()
	defer c.Close()
	key := w.options.Prefix + ":log"
	stream, err := c.Do(w.t.Context(), c.B().XinfoStream().Key(key).Build()).AsMap()
	if err != nil {
		w.t.Fatal(err)
	}
	groups, err := c.Do(w.t.Context(), c.B().XinfoGroups().Key(key).Build()).ToArray()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, g := range groups {
		about, _ := g.AsMap()
		if text(about["name"]) == group {
			at = text(about["last-delivered-id"])
			pending := about["pending"]
			held, _ = pending.AsInt64()
		}
	}
	return at, held, text(stream["last-generated-id"])
}

func text(m rueidis.RedisMessage) string {
	s, _ := m.ToString()
	return s
}

// end ends everybody.
func (w *groupWalk) end() {
	for _, m := range w.hands {
		w.release(m)
		_ = m.Close()
	}
	for _, s := range w.speakers {
		_ = s.Close()
		w.await("the end of a target", s.Done())
	}
	for _, m := range w.hands {
		m.proxy.Close()
	}
	w.ends.Wait()
	w.restart()
}
