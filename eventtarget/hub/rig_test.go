package hub_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

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

// busOf makes the ways of one more rig's hubs to their bus, which carries messages of such
// a size.
type busOf func() (way func(limits eventtarget.Limits) (eventtarget.Endpoint, error))

func inMemory() func(eventtarget.Limits) (eventtarget.Endpoint, error) {
	bus := new(inprocess.Bus)
	return func(limits eventtarget.Limits) (eventtarget.Endpoint, error) {
		return bus.Join(&inprocess.MemberOptions{NoEcho: true, Limits: limits, OnFault: func(eventtarget.Fault) {}}), nil
	}
}

// overRedis is a bus on a server of its own.
func overRedis(t *testing.T) busOf {
	server := redistest.Start(t)
	var buses atomic.Int32
	return func() func(eventtarget.Limits) (eventtarget.Endpoint, error) {
		prefix := fmt.Sprint("bus", buses.Add(1))
		return func(limits eventtarget.Limits) (eventtarget.Endpoint, error) {
			return redis.New(server.URL(), &redis.Options{Prefix: prefix, NoEcho: true, Limits: limits, OnFault: func(eventtarget.Fault) {}})
		}
	}
}

// join joins the hub with others, if there are to be some.
func (r *rig) join(ctx context.Context, o hub.Options) error {
	r.hubs = []*hub.Hub{r.hub}
	if r.bus == nil {
		return nil
	}
	way := r.bus()
	for n := range joinedHubs {
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
		on, err := way(eventtarget.Limits{Message: o.Limits.WithDefaults().Message + 64})
		if err != nil {
			return err
		}
		r.ways = append(r.ways, on)
		if _, err := r.hubs[n].Join(ctx, on, nil); err != nil {
			return err
		}
	}
	return nil
}

// joinedHubs is how many hubs are joined.
const joinedHubs = 3

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
}

// store is that of the hub, if it is to have one.
func (r *rig) store() hub.Store {
	switch {
	case r.link.Adapter == "store":
		return &memory{}
	case r.link.Adapter == "shared" && r.log == nil:
		r.log = newSharedLog()
		fallthrough
	case r.link.Adapter == "shared":
		return r.log.open()
	}
	return nil
}

// foreign connects a plain peer. What a store adds to messages is no part of the
// protocol's golden ones.
func (r *rig) foreign() (link.Conn, error) {
	c, err := r.dial("", func(*link.PipeConn) {})
	return unnumbered{c}, err
}

type unnumbered struct{ link.Conn }

var number = regexp.MustCompile(`,"seq":\d+}$`)

func (u unnumbered) Receive() ([]byte, error) {
	msg, err := u.Conn.Receive()
	return number.ReplaceAll(msg, []byte("}")), err
}

// notJoined names the laws that hold for one hub only.
func notJoined(bus busOf) map[string]string {
	if bus == nil {
		return nil
	}
	const reason = "an event from another hub has no source"
	return map[string]string{"C06": reason, "C22": reason}
}
