package hub_test

import (
	"errors"
	"strconv"

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
