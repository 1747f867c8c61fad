package redis_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// TestRandom: whatever is done to members of a bus and to their server, each listener hears
// what was accepted since it came once, in the order of each dispatcher, and before anything
// that follows what is missing a gap is told. On a log that is kept nothing is missing.
func TestRandom(t *testing.T) {
	for _, kind := range []string{"pubsub", "kept", "forgetful", "cluster", "hubs on a log", "joined hubs"} {
		t.Run(kind, func(t *testing.T) {
			var server *redistest.Server
			var cluster *redistest.Cluster
			switch kind {
			case "pubsub", "joined hubs":
				server = redistest.Start(t)
			case "kept", "hubs on a log":
				server = redistest.Start(t, keeps...)
			case "forgetful":
				server = redistest.Start(t, "--stream-node-max-entries", "5")
			case "cluster":
				cluster = redistest.StartCluster(t, 3)
				server = cluster.Nodes[0]
			}
			n := 0
			nemesis.Walk(t, 1, func(t *testing.T, seed uint64) {
				w := newWalk(t, kind, seed, server, cluster)
				w.options.Prefix = "walk" + strconv.Itoa(n)
				n++
				w.run()
			})
		})
	}
}

func newWalk(t *testing.T, kind string, seed uint64, server *redistest.Server, cluster *redistest.Cluster) *walk {
	w := &walk{t: t, rng: rand.New(rand.NewPCG(seed, 0)), server: server, cluster: cluster, url: server.URL(), types: []string{"a", "b"}}
	if w.one(3) {
		for i := range 20 {
			w.types = append(w.types, "t"+strconv.Itoa(i))
		}
	}
	if w.one(3) {
		w.options.Timeout = 200 * time.Millisecond // so that a pause ends connections
	}
	w.calm = w.one(6)
	w.refuses = w.one(2)
	if kind == "pubsub" || kind == "cluster" || kind == "joined hubs" {
		w.options.Batch = []int{0, 2, 64}[w.rng.IntN(3)]
	}
	w.loses = kind != "kept" && kind != "hubs on a log"
	switch kind {
	case "kept":
		w.options.Durable = true
	case "forgetful":
		w.options.Durable, w.options.LogEvents = true, 5<<w.rng.IntN(6)
		w.narrow = true // the log
		w.calm = false
	case "hubs on a log", "joined hubs":
		w.joined = kind == "joined hubs"
		w.crew = &crew{nears: make(map[int]*link.PipeConn), all: make(map[*hub.Hub]*walker)}
	case "cluster":
		w.url = cluster.URL()
		w.options.Shards = 1 + 2*w.rng.IntN(3)
	}
	return w
}

func (w *walk) run() {
	defer func() {
		if w.t.Failed() {
			w.t.Log(strings.Join(w.trace, "\n"))
		}
	}()
	for range 2 + w.rng.IntN(2) {
		if w.crew != nil {
			w.startHub()
		}
	}
	for range 2 + w.rng.IntN(2) {
		w.listen(w.join())
	}
	for range 60 {
		w.step()
	}
	w.settle()
	w.check()
}

func (w *walk) step() {
	switch r := w.rng.IntN(100); {
	case r < 40:
		w.say(w.anySpeaker())
	case r < 50:
		if s := w.anySpeaker(); !w.killed {
			w.await("the end of a burst", s.busy)
		}
	case r < 60:
		w.listen(w.anyone())
	case r < 64 && w.crew != nil:
		w.unplug()
	case r < 66 && w.crew != nil:
		w.die()
	case r < 68:
		w.leave(w.ears[w.rng.IntN(len(w.ears))])
	case r < 76:
		w.cut()
	case r < 79:
		w.disturb(func(node *redistest.Server) {
			ms := strconv.Itoa(1 + w.rng.IntN(400))
			w.note("pause for %s ms", ms)
			node.Do("CLIENT", "PAUSE", ms)
		})
	case r < 82:
		w.kill()
	case r < 86:
		w.part()
	case r < 90:
		w.hold(w.anyone())
	case r < 93:
		w.shake()
	default: // somebody waits to be connected, but not for long
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.rng.IntN(100))*time.Millisecond)
		defer cancel()
		_ = w.anyone().Ready(ctx)
	}
}

func (w *walk) say(s *speaker) {
	select {
	case <-s.busy:
	default:
		if w.killed {
			return
		}
		w.await("the end of a burst", s.busy)
	}
	var topics []eventtarget.Topic
	for range 1 + w.rng.IntN(30) {
		topics = append(topics, w.topic())
	}
	w.burst(s, topics, w.one(4) && !w.refuses) // of which what is refused comes behind the rest
}

// disturb does something to a server, if there is one that may be disturbed.
func (w *walk) disturb(do func(node *redistest.Server)) {
	switch {
	case w.calm || w.killed:
	case w.cluster != nil:
		do(w.cluster.Nodes[w.rng.IntN(len(w.cluster.Nodes))])
	default:
		do(w.server)
	}
}

func (w *walk) cut() {
	w.disturb(func(node *redistest.Server) {
		kind := []string{"pubsub", "normal"}[w.rng.IntN(2)]
		w.note("cut %s", kind)
		node.Do("CLIENT", "KILL", "TYPE", kind)
	})
}

// kill ends the server, or begins it again.
func (w *walk) kill() {
	switch {
	case w.cluster != nil:
	case w.killed:
		w.note("the server is back")
		w.server.Restart()
		w.killed = false
	case !w.calm:
		w.note("the server is killed")
		w.server.Kill()
		w.killed = true
	}
}

// part ends a member, and begins another one.
func (w *walk) part() {
	m := w.anyone()
	if m.isHub || w.killed || len(w.walkers) > 12 {
		return
	}
	m.gone = true
	w.release(m)
	if w.one(2) {
		w.note("%d shuts down", m.n)
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		defer cancel()
		m.lossy = m.Shutdown(ctx) != nil && w.crew != nil
	} else {
		w.note("%d closes", m.n)
		m.lossy = w.crew != nil
		m.end()
	}
	for _, e := range w.ears {
		if e.at == m && e.until == nil {
			e.until = w.position()
		}
	}
	w.listen(w.join())
}

// hold keeps a member's listeners from returning, or lets them.
func (w *walk) hold(m *walker) {
	if m.isHub || w.release(m) || w.calm {
		return
	}
	w.note("%d holds", m.n)
	m.mu.Lock()
	m.held = make(chan struct{})
	m.mu.Unlock()
}

func (w *walk) release(m *walker) bool {
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

// shake does what can be done to a server of this kind alone.
func (w *walk) shake() {
	w.disturb(func(node *redistest.Server) {
		key := w.options.Prefix + ":log"
		switch {
		case w.refuses && (w.options.Durable || w.crew != nil) && w.one(2):
			w.note("no memory now and then")
			for range 10 {
				node.Do("CONFIG", "SET", "maxmemory", "1")
				node.Do("CONFIG", "SET", "maxmemory", "0")
			}
		case w.cluster != nil:
			name := w.options.Prefix + ":" + strconv.Itoa(w.rng.IntN(w.options.Shards))
			if w.cluster.Owner(name) != node {
				w.note("%s moves", name)
				w.cluster.Move(name, node)
			}
		case w.crew == nil && w.options.Durable && w.loses:
			if w.one(3) {
				w.note("the log is deleted")
				w.deleted = true
				node.Do("DEL", key)
				return
			}
			n := strconv.Itoa(w.rng.IntN(20))
			w.note("the log is trimmed to %s", n)
			node.Do("XTRIM", key, "MAXLEN", n)
		}
	})
}
