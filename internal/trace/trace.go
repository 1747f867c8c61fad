// Package trace knows events again that come by more than one way, by a header of
// theirs: see eventtarget.BridgeHeader.
package trace

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync/atomic"
	"unique"
)

// ID says which event one is: who took it first, and its number there.
type ID struct {
	origin unique.Handle[string]
	seq    uint64
}

// Parse reads a header, "origin/sequence/hops". ok is false for anything else.
func Parse(header string) (id ID, hops int, ok bool) {
	i := strings.LastIndexByte(header, '/')
	if i < 0 {
		return id, 0, false
	}
	j := strings.LastIndexByte(header[:i], '/')
	if j <= 0 {
		return id, 0, false
	}
	seq, err := strconv.ParseUint(header[j+1:i], 10, 64)
	if err != nil {
		return id, 0, false
	}
	if hops, err = strconv.Atoi(header[i+1:]); err != nil || hops < 0 {
		return id, 0, false
	}
	return ID{unique.Make(header[:j]), seq}, hops, true
}

// Origin returns who took the event first.
func (id ID) Origin() string { return id.origin.Value() }

// Header returns the header of the event when it has passed so many bridges.
func (id ID) Header(hops int) string {
	return id.Origin() + "/" + strconv.FormatUint(id.seq, 10) + "/" + strconv.Itoa(hops)
}

// Origin is one who takes events first. Its name is new whenever one is made, so that
// a number never comes again. Its methods may be called from any goroutine.
type Origin struct {
	name unique.Handle[string]
	seq  atomic.Uint64
}

// NewOrigin returns an origin with a name that nobody can guess.
func NewOrigin() *Origin { return &Origin{name: unique.Make(rand.Text())} }

// Next returns the ID of one more event.
func (o *Origin) Next() ID { return ID{o.name, o.seq.Add(1)} }

// Owns tells whether an event was taken here first.
func (o *Origin) Owns(id ID) bool { return id.origin == o.name }

// Size is how many events a Window remembers: one way may be behind another by what
// waits in the queues of its bridges, 16384 events each by default.
const Size = 1 << 16

// Window remembers the last Size events, in about 4 MB if there were so many. The zero
// Window is empty. It is not for use by several goroutines at once.
type Window struct {
	at   map[ID]int // in ring
	ring []ID       // oldest at next, once it is full; zero: forgotten
	next int
}

// First tells whether an event is not in the window, and remembers it.
func (w *Window) First(id ID) bool {
	if _, found := w.at[id]; found {
		return false
	}
	if w.at == nil {
		w.at = make(map[ID]int)
	}
	if len(w.ring) < Size {
		w.at[id] = len(w.ring)
		w.ring = append(w.ring, id)
		return true
	}
	delete(w.at, w.ring[w.next])
	w.at[id], w.ring[w.next] = w.next, id
	w.next = (w.next + 1) % Size
	return true
}

// Forget takes an event out of the window.
func (w *Window) Forget(id ID) {
	if i, found := w.at[id]; found {
		w.ring[i] = ID{}
		delete(w.at, id)
	}
}
