package hub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

type rig struct {
	caps    conformance.Capabilities
	link    link.Options
	hub     *hub.Hub
	options hub.Options
	hubs    []*hub.Hub
	way     func(eventtarget.Limits) (eventtarget.Endpoint, error) // of one more hub to the bus; nil: one is alone
	log     func() hub.SharedStore                                 // opens the log that hubs have in common; nil: they have none
	logs    []hub.SharedStore
	dials   map[int]int
	ways    []eventtarget.Endpoint
	ends    map[int]*link.PipeConn
	severed map[int]bool
	who     string // every spoke is
	sync.Mutex
}

// negotiated is a connection both of whose ends know sessions.
type negotiated struct{ *link.PipeConn }

func (negotiated) Protocol() int { return 1 }

// endpoint is the key of the value that says which endpoint a spoke is.
type endpoint struct{}

func (r *rig) dial(id string, keep func(*link.PipeConn)) (link.Conn, error) {
	r.Lock()
	defer r.Unlock()
	near, far := link.Pipe()
	n, _ := strconv.Atoi(id)
	if r.severed[n] {
		return nil, errors.New("severed")
	}
	keep(near)
	// With a log in common each connection is to another hub.
	at := r.hubs[(max(n-1, 0)+r.dials[n])%len(r.hubs)]
	if r.log != nil && n > 0 {
		r.dials[n]++
	}
	meta := hub.Meta{Identity: r.who, Values: map[any]any{endpoint{}: id}}
	if id != "" && r.caps.Resumes { // Attach waits for the greeting
		go at.Attach(negotiated{far}, meta)
		return negotiated{near}, nil
	}
	_, err := at.Attach(far, meta)
	return near, err
}

// replaces makes all spokes one identity, if they are to replace each other.
func (r *rig) replaces(yes bool) hub.Duplicates {
	if !yes {
		return hub.Allow
	}
	r.who = "one"
	return hub.Replace
}

func (r *rig) sever(i int, cut bool) {
	r.Lock()
	defer r.Unlock()
	r.severed[i] = cut
	r.ends[i].Cut()
}

// spoke returns the spoke of an endpoint.
func (r *rig) spoke(i int) (found eventtarget.Peer) {
	for _, s := range r.spokes() {
		if s := s.(*hub.Spoke); s.Value(endpoint{}) == strconv.Itoa(i) {
			found = s
		}
	}
	return found
}

func (r *rig) spokes() (all []eventtarget.Peer) {
	for _, h := range r.hubs {
		for s := range h.Spokes() {
			all = append(all, s)
		}
	}
	return all
}

// between is what joins the hubs of rigs: one more bus, and one more log in common or none.
type between func() (way func(limits eventtarget.Limits) (eventtarget.Endpoint, error), log func() hub.SharedStore)

func ignore(eventtarget.Fault) {}

// overRedis is a bus on a server of the test's own, and a log if there is to be one.
func overRedis(t *testing.T, shared bool) between {
	server := redistest.Start(t)
	var buses atomic.Int32
	return func() (way func(eventtarget.Limits) (eventtarget.Endpoint, error), log func() hub.SharedStore) {
		prefix := fmt.Sprint("bus", buses.Add(1))
		way = func(limits eventtarget.Limits) (eventtarget.Endpoint, error) {
			return redis.New(server.URL(), &redis.Options{Prefix: prefix, NoEcho: true, Limits: limits, OnFault: ignore})
		}
		if !shared {
			return way, nil
		}
		return way, func() hub.SharedStore {
			s, err := redis.OpenStore(t.Context(), server.URL(), &redis.Options{Prefix: prefix, OnFault: ignore})
			if err != nil {
				panic(err) // the rig's goroutine is not the test's
			}
			return s
		}
	}
}

// join joins the hub with others, if there are to be some.
func (r *rig) join(ctx context.Context, o hub.Options) error {
	r.hubs = []*hub.Hub{r.hub}
	if r.way == nil && !o.Bridged {
		return nil
	}
	for n := range r.joined() {
		if n > 0 {
			other := o
			other.Store = r.store()
			other.OnFault = func(eventtarget.Fault) {}
			h, err := hub.New(other)
			if err != nil {
				return err
			}
			r.hubs = append(r.hubs, h)
		}
		if o.Bridged {
			continue
		}
		on, err := r.way(eventtarget.Limits{Message: o.Limits.WithDefaults().Message + 64})
		if err != nil {
			return err
		}
		r.ways = append(r.ways, on)
		if _, err := r.hubs[n].Join(ctx, on, nil); err != nil {
			return err
		}
	}
	if o.Bridged {
		return r.bridge(ctx)
	}
	return nil
}

// bridge joins each hub with the next, and the last with the first.
func (r *rig) bridge(ctx context.Context) error {
	for n, h := range r.hubs {
		if _, err := eventtarget.Bridge(ctx, h, r.hubs[(n+1)%len(r.hubs)], &eventtarget.BridgeOptions{OnFault: ignore}); err != nil {
			return err
		}
	}
	return nil
}

// joined is how many hubs are.
func (r *rig) joined() int {
	if r.log != nil {
		return 2
	}
	return 3
}

// close ends the hubs that are no endpoint.
func (r *rig) close() {
	for _, h := range r.hubs[1:] {
		h.Close()
		<-h.Done()
	}
	for _, on := range r.ways {
		on.Close()
		<-on.Done()
	}
	for _, s := range r.logs {
		if c, ok := s.(io.Closer); ok {
			c.Close()
		}
	}
}

// store is that of the hub, if it is to have one.
func (r *rig) store() hub.Store {
	switch {
	case r.link.Adapter == "store":
		return &memory{}
	case r.log != nil:
		s := r.log()
		r.logs = append(r.logs, s)
		return s
	}
	return nil
}

// crash makes another hub go on from the store.
func (r *rig) crash(rig *conformance.Rig, listen func(eventtarget.Endpoint) error) error {
	r.Lock()
	defer r.Unlock()
	r.options.Store = r.options.Store.(*memory).crash()
	for _, c := range r.ends {
		c.Cut()
	}
	_ = r.hub.Close()
	h, err := hub.New(r.options)
	if err != nil {
		return err
	}
	r.hub, r.hubs[0], rig.Endpoints[0] = h, h, h
	return errors.Join(listen(h), h.Redeliver(context.Background()))
}

// foreign connects a plain peer. What a store and bridges add to messages is no part of
// the protocol's golden ones.
func (r *rig) foreign() (link.Conn, error) {
	c, err := r.dial("", func(*link.PipeConn) {})
	return unmarked{c}, err
}

// session connects a peer that is to greet the hub itself.
func (r *rig) session() (link.Conn, error) {
	near, far := link.Pipe()
	go r.hub.Attach(negotiated{far}, hub.Meta{})
	return near, nil
}

type unmarked struct{ link.Conn }

var mark = regexp.MustCompile(`(,"headers":{"bridge":"[^"]*"})?(,"seq":\d+)?}$`)

func (u unmarked) Receive() ([]byte, error) {
	msg, err := u.Conn.Receive()
	tail := max(0, len(msg)-200) // where they stand: searching all of it takes the race detector long
	return append(msg[:tail:tail], mark.ReplaceAll(msg[tail:], []byte("}"))...), err
}

// cannotHold names the laws that hold for one hub only.
func cannotHold(bus between, adapter string) map[string]string {
	if bus == nil && adapter != "ring" {
		return nil
	}
	const reason = "an event from another hub has no source"
	not := map[string]string{"C06": reason, "C22": reason}
	if adapter == "ring" {
		not["A35"] = "a bridge shares what it hears with the listeners beside it"
		not["B03"] = "what has no room for the header of bridges does not pass them"
		not["B13"] = "an event arrives with the header of bridges"
	}
	return not
}
