package redis_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/redis"
)

// crew is hubs that share a log, or are joined by a bus, and the ends of their spokes. Each
// connection of a spoke is to any of the hubs.
type crew struct {
	mu    sync.Mutex
	hubs  []*hub.Hub // that live
	nears map[int]*link.PipeConn
	all   map[*hub.Hub]*walker
}

// startHub begins a hub, which is a member of the walk, too.
func (w *walk) startHub() {
	o := hub.Options{Relay: true, OnFault: quiet, Heartbeat: -1}
	m := &walker{walk: w, n: len(w.walkers), isHub: true}
	o.OnFault = m.fault
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	end := func() {}
	ro := redis.Options{Prefix: w.options.Prefix, Timeout: w.options.Timeout, OnFault: quiet}
	if !w.joined {
		store, err := redis.OpenStore(ctx, w.url, &ro)
		if err != nil {
			w.t.Fatal(err)
		}
		o.Store = store
		end = func() { _ = store.Close() }
	}
	h, err := hub.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.joined {
		bus, err := redis.New(w.url, &ro)
		if err != nil {
			w.t.Fatal(err)
		}
		end = func() { _ = bus.Close() }
		if _, err := h.Join(ctx, bus, &hub.JoinOptions{Lease: 300 * time.Millisecond}); err != nil {
			w.t.Fatal(err)
		}
	}
	m.Endpoint = h
	m.end = sync.OnceFunc(func() { _ = h.Close(); <-h.Done(); end() })
	w.t.Cleanup(m.end)
	w.crew.mu.Lock()
	w.crew.hubs = append(w.crew.hubs, h)
	w.crew.all[h] = m
	w.crew.mu.Unlock()
	w.enter(m)
	w.note("%d is a hub", m.n)
}

// connect begins a spoke.
func (w *walk) connect() *walker {
	m := &walker{walk: w, n: len(w.walkers), noEcho: true}
	c := w.crew
	l, err := link.New(link.Options{
		Subscribe: w.one(2), OnFault: m.fault, Heartbeat: -1, Backoff: link.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond},
		Dial: func(context.Context) (link.Conn, error) {
			near, far := link.Pipe()
			c.mu.Lock()
			h := c.hubs[rand.IntN(len(c.hubs))]
			if w.joined { // where a session ends with its hub
				h = c.hubs[m.n%len(c.hubs)]
			}
			c.nears[m.n] = near
			c.mu.Unlock()
			go h.Attach(negotiated{far}, hub.Meta{})
			return negotiated{near}, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	m.Endpoint = l
	m.end = func() { _ = l.Close(); <-l.Done() }
	w.t.Cleanup(m.end)
	w.enter(m)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := l.Ready(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.note("%d is a spoke", m.n)
	return m
}

// unplug cuts a spoke's connection.
func (w *walk) unplug() {
	m := w.anyone()
	w.crew.mu.Lock()
	defer w.crew.mu.Unlock()
	if near := w.crew.nears[m.n]; near != nil && !w.calm {
		w.note("%d is unplugged", m.n)
		near.Cut()
	}
}

// die ends a hub as the end of its process does, and begins another one.
func (w *walk) die() {
	if w.killed || w.calm || w.joined || len(w.walkers) > 12 {
		return
	}
	c := w.crew
	w.startHub()
	c.mu.Lock()
	h := c.hubs[w.rng.IntN(len(c.hubs)-1)]
	c.hubs = slices.DeleteFunc(c.hubs, func(o *hub.Hub) bool { return o == h })
	m := c.all[h]
	c.mu.Unlock()
	w.note("hub %d dies", m.n)
	m.gone = true
	m.end()
	for _, e := range w.ears {
		if e.at == m && e.until == nil {
			e.until = w.position()
		}
	}
}
