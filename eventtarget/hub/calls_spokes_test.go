package hub_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// callSpoke is a link to a hub, cut now and then.
type callSpoke struct {
	cord
	*link.Link
	n     int
	place *nemesis.Place
	asks  bool
	regs  []*eventtarget.Registration
	at    *hub.Hub // under mu
	out   bool     // it is not let in again; under mu
	again bool     // it has been up
}

func (w *callWalk) connect() {
	s := &callSpoke{n: w.made, asks: w.rng.IntN(2) == 0, at: w.walk.hubs[w.rng.IntN(len(w.walk.hubs))]}
	o := link.Options{
		Subscribe: s.asks || w.options.OnlySubscribed, OnFault: w.fault, Dial: func(context.Context) (link.Conn, error) { return s.dial() },
		OnState: func(c link.Change) {
			if c.State == eventtarget.StateUp && !c.Resumed && s.again {
				w.Lost(s.place)
				if !w.loses {
					w.t.Errorf("%s has lost its session", s.place.Name)
				}
			}
			s.again = s.again || c.State == eventtarget.StateUp
		},
	}
	s.asks = o.Subscribe
	if w.rng.IntN(2) == 0 { // it asks for more than it has listeners
		o.Subscriptions = 4 + w.rng.IntN(4)
	}
	narrow, refuses := w.rng.IntN(3) == 0, w.rng.IntN(2) == 0
	if narrow {
		if o.LogEvents = 2 + w.rng.IntN(5); !refuses {
			o.Overflow = eventtarget.Block
		}
	}
	var err error
	s.Link, err = link.New(o)
	w.must(err)
	s.place = w.place("spoke", s.Link, site{spoke: s})
	s.place.Narrow, s.place.Refuses = narrow, narrow && refuses
	w.must(s.Ready(w.t.Context()))
	s.regs = w.listen(s.place)
	w.spokes = append(w.spokes, s)
}

func (s *callSpoke) dial() (link.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.out:
		return nil, eventtarget.ErrForbidden
	case s.at == nil || time.Now().Before(s.away):
		return nil, errors.New("there is no way")
	}
	near, far := link.Pipe()
	s.near = near
	go s.at.Attach(negotiated{far}, hub.Meta{Values: map[any]any{is{}: s.n}})
	return negotiated{near}, nil
}

// spokeOf is the hub's end of a spoke, or nil.
func (s *callSpoke) spokeOf() *hub.Spoke {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.at.Spokes() {
		if o.Value(is{}) == s.n {
			return o
		}
	}
	return nil
}

// narrow adds the hub's end of a spoke as a place.
func (w *callWalk) narrow(s *callSpoke) {
	o := s.spokeOf()
	if o == nil {
		return
	}
	s.mu.Lock()
	p := w.place("to "+s.place.Name, o, site{s.at, s})
	s.mu.Unlock()
	p.Gone = func() bool {
		_, gone := o.Reason()
		s.mu.Lock()
		defer s.mu.Unlock()
		return gone || s.out // it may be about to
	}
	w.running.Go(func() {
		<-o.Done()
		w.drop(p)
		w.Closed(p)
	})
}

// left is the hubs' OnDisconnect: the spoke's own listeners end behind it.
func (w *callWalk) left(o *hub.Spoke, _ eventtarget.Reason) {
	w.mu.Lock()
	places := slices.Clone(w.places)
	w.mu.Unlock()
	for _, p := range places {
		if p.Target == eventtarget.Target(o) {
			w.Closing(p)
			w.Lost(p)
		}
	}
}

// leave ends a spoke, from its own end or from its hub's.
func (w *callWalk) leave(s *callSpoke) {
	how := w.rng.IntN(3)
	w.spokes = slices.DeleteFunc(w.spokes, func(o *callSpoke) bool { return o == s })
	w.drop(s.place)
	w.Closing(s.place)
	w.Lost(s.place) // what is not out
	s.mu.Lock()
	s.out = true
	s.mu.Unlock()
	switch o := s.spokeOf(); {
	case how == 0:
		s.Link.Close()
	case how == 1 && o != nil:
		o.Disconnect(eventtarget.Reason{Code: eventtarget.CodeNormal})
	default:
		w.running.Go(func() {
			ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
			defer cancel()
			_ = s.Shutdown(ctx) // it may be cut off
		})
	}
	w.ending = append(w.ending, s)
	w.running.Go(func() {
		<-s.Done()
		w.Closed(s.place)
	})
}

// die ends a hub, and begins another one in its place.
func (w *callWalk) die(i int) {
	old := w.walk.hubs[i]
	w.mu.Lock()
	var place *nemesis.Place
	for _, p := range w.places {
		if p.Target == eventtarget.Target(old) {
			place = p
		}
	}
	w.mu.Unlock()
	w.drop(place)
	w.Closing(place)
	w.Lost(place)
	all := slices.Concat(w.spokes, w.ending)
	for _, s := range all {
		s.mu.Lock()
		s.at = nil
		s.near.Cut() // before it is known what the store has: nothing comes out that it has not
		s.mu.Unlock()
	}
	if w.store != nil {
		w.store = w.store.crash()
	}
	old.Close()
	w.begin(i)
	for _, s := range all {
		s.mu.Lock()
		s.at = w.walk.hubs[i]
		s.mu.Unlock()
	}
	<-old.Done()
	w.Closed(place)
}
