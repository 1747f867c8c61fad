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
	w.burst(w.speakers[0]) // what was trimmed last is told before something that comes behind it
	w.await("the last events", w.speakers[0].busy)
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
