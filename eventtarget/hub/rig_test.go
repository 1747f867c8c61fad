package hub_test

import (
	"context"
	"errors"
	"regexp"
	"strconv"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
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
	if n, _ := strconv.Atoi(id); r.severed[n] {
		return nil, errors.New("severed")
	}
	keep(near)
	meta := hub.Meta{Identity: r.who, Values: map[any]any{endpoint{}: id}}
	if id != "" && r.caps.Resumes { // Attach waits for the greeting
		go r.hub.Attach(negotiated{far}, meta)
		return negotiated{near}, nil
	}
	_, err := r.hub.Attach(far, meta)
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
	for s := range r.hub.Spokes() {
		if s.Value(endpoint{}) == strconv.Itoa(i) {
			found = s
		}
	}
	return found
}

// store is that of the hub, if it is to have one.
func (r *rig) store() hub.Store {
	if r.link.Adapter == "store" {
		return &memory{}
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
	r.hub, rig.Endpoints[0] = h, h
	return errors.Join(listen(h), h.Redeliver(context.Background()))
}

// foreign connects a plain peer. What a store adds to messages is no part of the
// protocol's golden ones.
func (r *rig) foreign() (link.Conn, error) {
	c, err := r.dial("", func(*link.PipeConn) {})
	return unnumbered{c}, err
}

// session connects a peer that is to greet the hub itself.
func (r *rig) session() (link.Conn, error) {
	near, far := link.Pipe()
	go r.hub.Attach(negotiated{far}, hub.Meta{})
	return near, nil
}

type unnumbered struct{ link.Conn }

var number = regexp.MustCompile(`,"seq":\d+}$`)

func (u unnumbered) Receive() ([]byte, error) {
	msg, err := u.Conn.Receive()
	return number.ReplaceAll(msg, []byte("}")), err
}
