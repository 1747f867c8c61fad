package redis

import (
	"context"
	"maps"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// interest is what listeners want to hear, and how far Redis has been asked for it.
// Names are channels, and the pattern of everything.
//
// Redis sends an event twice to who is subscribed to its channel and to the pattern.
// So the pattern, once confirmed, is the only source, and the channels are given up;
// before the pattern is given up they are subscribed to again and confirmed. All of
// this is one connection, on which messages and confirmations have one order: nothing
// is lost or heard twice on the way.
type interest struct {
	everything string

	mu      sync.Mutex
	wants   map[string]*want
	dirty   map[string]struct{} // names that may need a step
	joining int                 // how many wait for a confirmation
	live    bool                // the connection has brought back all that was wanted
	begin   func()              // called when it has, before whoever waits hears of it
	closed  bool
	changed chan struct{} // closed and replaced when somebody who waits should look
	wake    chan struct{} // has a token when there may be a step to take
}

type want struct {
	count int // listeners
	state joinState
	err   error // why Redis refused
}

type joinState uint8

const (
	absent joinState = iota
	joining
	joined
	leaving
)

func newInterest(everything string) *interest {
	return &interest{
		everything: everything,
		wants:      make(map[string]*want),
		dirty:      make(map[string]struct{}),
		changed:    make(chan struct{}),
		wake:       make(chan struct{}, 1),
	}
}

// add wants a name once more and waits until Redis has confirmed it. If that fails
// the name is released.
func (in *interest) add(ctx context.Context, name string) error {
	in.mu.Lock()
	w := in.wants[name]
	if w == nil {
		w = new(want)
		in.wants[name] = w
	}
	w.count++
	if w.count == 1 || w.err != nil {
		w.err = nil // ask again: what is allowed may have changed
		in.touch(name)
	}
	for {
		covered, err, closed, changed := in.covers(name, w), w.err, in.closed, in.changed
		in.mu.Unlock()
		switch {
		case closed:
			err = eventtarget.ErrClosed
		case covered:
			return nil
		}
		if err == nil {
			select {
			case <-changed:
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		if err != nil {
			in.release(name)
			return err
		}
		in.mu.Lock()
	}
}

// release wants a name once less.
func (in *interest) release(name string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	w := in.wants[name]
	if w == nil || w.count == 0 {
		return
	}
	if w.count--; w.count == 0 {
		in.touch(name)
	}
}

// touch has a name looked at. Under mu.
func (in *interest) touch(name string) {
	if name == in.everything {
		for other := range in.wants {
			in.dirty[other] = struct{}{}
		}
	}
	in.dirty[name] = struct{}{}
	token(in.wake)
}

// broadcast has everybody who waits look again. Under mu.
func (in *interest) broadcast() {
	close(in.changed)
	in.changed = make(chan struct{})
}

// covers tells whether what is published on a name reaches us. Under mu.
func (in *interest) covers(name string, w *want) bool {
	return in.live && (w.state == joined || name != in.everything && in.hasPattern())
}

func (in *interest) hasPattern() bool {
	w := in.wants[in.everything]
	return w != nil && w.state == joined
}

// step is what to ask Redis for.
type step struct {
	join, pattern bool
	names         []string // nil: nothing for now
}

// next returns the next step and marks its names as under way. Channels are joined
// before the pattern is left.
func (in *interest) next() step {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := in.wants[in.everything]
	if all == nil {
		all = new(want)
	}
	if all.count > 0 && all.state == absent && all.err == nil {
		return in.start(step{join: true, pattern: true, names: []string{in.everything}})
	}
	instead := all.count > 0 && all.state == joined // of the channels
	join := in.pick(func(w *want) bool { return w.count > 0 && !instead && w.state == absent && w.err == nil })
	if len(join) > 0 {
		return in.start(step{join: true, names: join})
	}
	if all.count == 0 && all.state == joined && in.joining == 0 {
		return in.start(step{pattern: true, names: []string{in.everything}})
	}
	leave := in.pick(func(w *want) bool { return (w.count == 0 || instead) && w.state == joined })
	if len(leave) > 0 {
		return in.start(step{names: leave})
	}
	for name := range in.dirty {
		if w := in.wants[name]; w != nil && w.count == 0 && w.state == absent {
			delete(in.wants, name)
		}
	}
	clear(in.dirty) // what is under way is looked at again once it is confirmed
	return step{}
}

// pick returns the channels that need a look and fit.
func (in *interest) pick(fits func(*want) bool) (names []string) {
	for name := range in.dirty {
		if w := in.wants[name]; w != nil && name != in.everything && fits(w) {
			names = append(names, name)
		}
	}
	return names
}

func (in *interest) start(s step) step {
	for _, name := range s.names {
		if s.join {
			in.wants[name].state = joining
			in.joining++
		} else {
			in.wants[name].state = leaving
		}
	}
	return s
}

// confirm notes what Redis has done.
func (in *interest) confirm(name string, s joinState) {
	in.mu.Lock()
	defer in.mu.Unlock()
	w := in.wants[name]
	if w == nil || s == joined && w.state != joining || s == absent && w.state != leaving {
		return // a reply that nobody asked for
	}
	w.state = s
	if s == joined {
		in.joining--
	}
	in.touch(name)
	in.settle()
}

// isLeaving tells whether Redis has been asked to send a name no more.
func (in *interest) isLeaving(name string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	w := in.wants[name]
	return w != nil && w.state == leaving
}

// refuse notes that Redis does not let us hear a name.
func (in *interest) refuse(name string, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if w := in.wants[name]; w != nil && w.state == joining {
		w.state, w.err = absent, err
		in.joining--
		in.touch(name)
	}
	in.settle()
}

// settle notes when all that was wanted is there. Who is told so must hear what comes: it
// counts before. Under mu.
func (in *interest) settle() {
	if !in.live && in.joining == 0 && !in.lacking() {
		in.live = true
		in.begin()
	}
	if in.joining == 0 {
		in.broadcast()
	}
}

// lacking tells whether something is wanted that Redis has not been asked for.
// Under mu, while the connection is not live.
func (in *interest) lacking() bool {
	if in.hasPattern() {
		return false
	}
	for name := range in.dirty {
		if w := in.wants[name]; w != nil && w.count > 0 && w.state == absent && w.err == nil {
			return true
		}
	}
	return false
}

// connected begins on a connection. begin is called once all that was wanted is there, which
// may be at once; it must not use the interest.
func (in *interest) connected(begin func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.begin = begin
	for name := range in.wants {
		in.dirty[name] = struct{}{}
	}
	token(in.wake)
	in.settle()
}

// disconnected forgets what the connection had, and tells whether that was
// anything.
func (in *interest) disconnected() (had bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	had = in.live && len(in.wants) > 0
	in.live, in.joining = false, 0
	maps.DeleteFunc(in.wants, func(_ string, w *want) bool {
		w.state, w.err = absent, nil
		return w.count == 0
	})
	clear(in.dirty)
	return had
}

// close makes whoever waits give up.
func (in *interest) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.broadcast()
}
