package ssehub_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/hublog"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// TestRandom: whatever is done to one hub, to three, to three that share a log, and to one that
// has room for little: each client hears all that is for it, once and in order, over however
// many connections, or is told before the next event what is missing.
func TestRandom(t *testing.T) {
	for _, kind := range []string{"one hub", "three hubs", "a log", "oldest dropped", "conflated", "disconnected"} {
		t.Run(kind, func(t *testing.T) {
			nemesis.Walk(t, 2, func(t *testing.T, seed uint64) {
				synctest.Test(t, func(t *testing.T) { newWalk(t, kind, seed).walk() })
			})
		})
	}
}

func newWalk(t *testing.T, kind string, seed uint64) *walk {
	w := &walk{t: t, rng: rand.New(rand.NewPCG(seed, 0)), first: make(map[string]bool)}
	w.keeps, w.asks, w.plain = w.one(2), w.one(4), w.one(4)
	o := ssehub.Options{HandlerOptions: ssehub.HandlerOptions{KeepHeaders: []string{"Walk"}}}
	o.OnlySubscribed, o.OnFault, o.Sweepers = w.asks, w.fault, 1+w.rng.IntN(3)
	if w.keeps {
		o.Retain = func(eventtarget.Topic) bool { return true }
	}
	o.SpokeBytes = 64 << 20 // else much that is large is told as a gap when a client comes back
	servers := 3
	var log *hublog.Log
	switch kind {
	case "one hub":
		servers = 1
	case "a log":
		log = hublog.New()
	case "oldest dropped", "conflated", "disconnected":
		servers, w.small = 1, true
		o.LogEvents, o.SpokeEvents = 16<<w.rng.IntN(5), 8<<w.rng.IntN(5)
		o.SpokeBytes = []int{80 << 10, 1 << 20}[w.rng.IntN(2)]
		if w.patient = w.one(2); w.patient {
			o.Options.WriteTimeout, o.HandlerOptions.WriteTimeout = time.Hour, time.Hour
		}
		w.policy = map[string]eventtarget.Overflow{"oldest dropped": eventtarget.DropOldest, "conflated": eventtarget.Conflate, "disconnected": eventtarget.Disconnect}[kind]
		o.Overflow = w.policy
	}
	w.snaps = !w.keeps && !w.small && w.one(2)
	w.start = func(b *book) *server {
		o := o
		if log != nil {
			o.Store = log.Open()
		}
		return w.serve(b, o)
	}
	b := new(book)
	for n := range servers {
		if log == nil {
			b = new(book)
		}
		w.servers = append(w.servers, w.start(b))
		w.servers[n].n = n
	}
	return w
}

func (w *walk) fault(f eventtarget.Fault) {
	switch f.Kind {
	case eventtarget.FaultPanic, eventtarget.FaultDecode, eventtarget.FaultDispatch:
		w.t.Error(f)
	}
}

// serve starts a hub.
func (w *walk) serve(b *book, o ssehub.Options) *server {
	s := &server{book: b, base: b.done, at: newListener(), taken: make(map[string]hub.Position)}
	if w.snaps {
		o.Snapshot = func(spoke *hub.Spoke, t eventtarget.Topic) ([]event, hub.Position) { return w.snapshot(s, spoke, t) }
	}
	h, err := ssehub.New(&o)
	w.must(err)
	s.Hub = h
	s.epoch, _, _ = strings.Cut(h.FormatPosition(h.Position()), ".")
	mux := http.NewServeMux()
	mux.HandleFunc("/sse", func(rw http.ResponseWriter, r *http.Request) {
		if w.plain {
			rw = plain{rw}
		}
		h.ServeHTTP(rw, r)
	})
	mux.Handle("/dispatch", ssehub.NewPostHandler(h.Hub, ssehub.PostOptions{}))
	s.http = &http.Server{Handler: mux}
	go func() { _ = s.http.Serve(s.at) }()
	return s
}

func (w *walk) walk() {
	defer w.over()
	for n := range 4 {
		w.newAgent(n > 0)
	}
	w.settle()
	for range 150 {
		w.step()
		if w.broken {
			break
		}
	}
	if !w.broken {
		w.settle()
	}
}

func (w *walk) over() {
	for _, a := range w.agents {
		a.leave()
	}
	for _, s := range w.servers {
		w.end(s)
	}
	if w.t.Failed() {
		w.t.Log(strings.Join(w.trace, "\n"))
	}
}

func (w *walk) step() {
	s, a := w.servers[w.rng.IntN(len(w.servers))], w.agents[w.rng.IntN(len(w.agents))]
	switch r := w.rng.IntN(100); {
	case r < 30:
		w.send(s, w.one(4), w.rng.IntN(30))
	case r < 38:
		for range 1 + w.rng.IntN(60) {
			w.send(s, false, w.rng.IntN(30))
		}
	case r < 40:
		w.send(s, w.one(2), 64<<10)
	case r < 46:
		if len(w.servers) > 1 {
			synctest.Wait() // the log brings a hub the others' events
		}
		w.sendOwn(a)
	case r < 62:
		behind := w.rng.IntN(400)
		if w.one(3) {
			behind = 0
		}
		w.note("agent %d is cut behind %d bytes", a.n, behind)
		w.mu.Lock()
		if c := a.now; c != nil && c.pipe != nil {
			c.cut = true
			c.pipe.cut(behind, []error{io.EOF, errCut}[w.rng.IntN(2)])
		}
		w.mu.Unlock()
	case r < 68:
		w.stall(a, w.one(2))
	case r < 72:
		w.mu.Lock()
		a.forged = w.forge()
		w.noted("agent %d will say %q", a.n, a.forged)
		w.mu.Unlock()
	case r < 75:
		w.mu.Lock()
		a.at = w.rng.IntN(len(w.servers))
		w.noted("agent %d will go to %d", a.n, a.at)
		w.mu.Unlock()
	case r < 78:
		topics := w.ask()
		w.mu.Lock()
		a.topics, a.unnamed = topics, w.one(2)
		w.noted("agent %d will ask for %v", a.n, a.topics)
		w.mu.Unlock()
	case r < 90:
		<-time.After(time.Duration(1+w.rng.IntN(2000)) * time.Millisecond)
	case r < 96:
		w.settle()
	case r < 98 && len(w.agents) < 8:
		w.newAgent(w.one(2))
	case r < 99:
		w.replace(s)
	case len(w.agents) > 2:
		w.settle() // what it heard so far is right
		a.leave()
		w.mu.Lock()
		w.agents = slices.DeleteFunc(w.agents, func(other *agent) bool { return other == a })
		w.mu.Unlock()
	}
}

// forge is an id that a client may come back with: an older one, one of elsewhere, or none at all.
func (w *walk) forge() string {
	if len(w.ids) == 0 || w.one(4) {
		s := w.servers[0]
		return []string{"nonsense", ".", "17", s.epoch, s.epoch + ".", s.epoch + ".99999", s.epoch + ".-1", s.epoch + ".new", s.epoch + ".1.2", "\u00e4.1"}[w.rng.IntN(10)]
	}
	return w.ids[w.rng.IntN(len(w.ids))]
}
