//go:build unix

package worker

import (
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// both returns the two ends of a conversation over real pipes, in one process: what is
// the process's own is in the other tests.
func both(l eventtarget.Limits) (parent *pipes, child *inbound, err error) {
	theirIn, ourOut, err := os.Pipe()
	ourIn, theirOut, failed := os.Pipe()
	limit := wire.MaxFrame(l.WithDefaults())
	return newPipes(ourIn, ourOut, limit, time.Minute), &inbound{pipes: newPipes(theirIn, theirOut, limit, time.Minute)}, errors.Join(err, failed)
}

// poolRig is a pool's hub with children that nothing takes the place of: the suite knows
// no spoke that outlives its endpoint.
type poolRig struct {
	conformance.Setup
	opts      PoolOptions
	hub       *hub.Hub
	endpoints []eventtarget.Endpoint
	spokes    []*hub.Spoke // by endpoint; the hub has none
	ends      []*inbound   // the same
}

func newPoolRig(s conformance.Setup, relay bool) (r *poolRig, err error) {
	r = &poolRig{Setup: s, spokes: make([]*hub.Spoke, 1), ends: make([]*inbound, 1)}
	r.opts, err = PoolOptions{Worker: Options{Path: "/none"}, Options: hub.Options{
		Limits: s.Limits(), Relay: relay, OnFault: s.FaultsOf(0), Retain: s.Retain,
		LogEvents: s.Outgoing, SpokeEvents: s.Outgoing, WriteTimeout: s.WriteTimeout,
		OnConnect:    func(sp *hub.Spoke) { s.OnConnect(sp) },
		OnDisconnect: func(sp *hub.Spoke, reason eventtarget.Reason) { s.OnDisconnect(sp, reason) },
	}}.withDefaults()
	if err == nil {
		r.hub, err = hub.New(r.opts.Options)
	}
	r.endpoints = append(r.endpoints, r.hub)
	return r, err
}

// attach makes a spoke out of the parent's end of pipes.
func (r *poolRig) attach() (*hub.Spoke, *inbound, error) {
	near, far, err := both(r.Limits())
	if err != nil {
		return nil, nil, err
	}
	c := &child{pipes: near, opts: r.opts.Worker, cmd: &exec.Cmd{}, stderr: &printer{}, gone: make(chan struct{})}
	go func() { // there is no process that could be told to end
		select {
		case <-far.closed:
		case <-near.closed:
		}
		close(c.gone)
	}()
	l := newLine()
	l.set(c)
	spoke, err := r.hub.Attach(l, hub.Meta{})
	return spoke, far, err
}

// add adds a child.
func (r *poolRig) add(i int) error {
	spoke, far, err := r.attach()
	if err != nil {
		return err
	}
	end, err := link.New(link.Options{
		Adapter: adapter, Conn: far, Framing: appendHeader, Limits: r.Limits(), OnFault: r.FaultsOf(i),
		Setup: func(l *link.Link) { far.link = l },
	})
	r.endpoints, r.spokes, r.ends = append(r.endpoints, end), append(r.spokes, spoke), append(r.ends, far)
	return err
}

// foreign adds one that is no target.
func (r *poolRig) foreign() (link.Conn, error) {
	_, far, err := r.attach()
	if far == nil {
		return nil, err
	}
	return far.pipes, err // let in and closed at once, perhaps
}

func (r *poolRig) spoke(i int) eventtarget.Peer { return r.spokes[i] }

func (r *poolRig) all() (all []eventtarget.Peer) {
	for s := range r.hub.Spokes() {
		all = append(all, s)
	}
	return all
}

func (r *poolRig) kill(i int) { _ = r.ends[i].Close(eventtarget.Reason{Code: eventtarget.CodeLost}) }
