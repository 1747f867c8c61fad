package hub

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// uplink is the events of a spoke that the store was given and has not answered for. The
// spoke's reader goes on meanwhile, so that the store gets many of one spoke at once: one
// that waited for each would be as slow as the way to the store and back. In their order a
// goroutine, which is there only while there are some, does the rest.
type uplink struct {
	mu      sync.Mutex
	waiting []*passing
	bytes   int
	busy    bool            // a goroutine does the rest
	number  uint64          // of the last one, among the session's messages
	left    uint64          // how many have, ever
	changed chan struct{}   // closed when one has left; nil while nobody waits
	after   <-chan struct{} // nil, or closed when the listeners have heard what was before
}

// passing is one of them.
type passing struct {
	event  eventtarget.Event[eventtarget.Raw]
	size   int
	stored *stored
	to     handed // the journal's until it has answered
}

// maxPassing bounds them, and so does SpokeBytes: about what one write to the store has.
const maxPassing = 256

// errLater is that it will show whether an event is kept.
var errLater = errors.New("the store has not answered")

// keeps tells whether the store keeps the events of spokes.
func (s *Spoke) keeps() bool {
	j := s.hub.journal
	return j != nil && (s.hub.opts.Relay || j.handling.underWay())
}

// handLater gives an event to the store, and returns errLater: what the store refuses at once
// has its turn, too. It waits for room only.
func (s *Spoke) handLater(m *wire.Message, msg []byte, e eventtarget.Event[eventtarget.Raw]) error {
	x := s.uplink
	number := x.next(s, len(msg))
	if s.ending.Load() {
		return eventtarget.ErrGone
	}
	p := &passing{event: e, size: len(msg)}
	p.stored = s.give(m, msg, number, &p.to)
	x.mu.Lock()
	x.number = number
	x.waiting = append(x.waiting, p)
	x.bytes += p.size
	idle := !x.busy
	x.busy = true
	x.mu.Unlock()
	if idle {
		s.hub.wg.Go(s.passOn)
	}
	return errLater
}

// hand is handLater, and waits until the event is kept. It returns what is to be handled
// here.
func (s *Spoke) hand(m *wire.Message, msg []byte) (handed, error) {
	var to handed
	if err := s.awaitStored(s.give(m, msg, s.uplink.next(s, 0), &to)); err != nil {
		return handed{}, err
	}
	return to, nil
}

// give gives an event to the store. number is which of the session's messages it is.
func (s *Spoke) give(m *wire.Message, msg []byte, number uint64, to *handed) *stored {
	h := s.hub
	if !h.journal.handling.underWay() {
		to = nil
	}
	var r Record
	if s.session != nil {
		r.Session, r.Received = s.session.id, number
	}
	if h.opts.Relay {
		return h.store(h.ctx, eventtarget.Topic{Type: m.Type, ID: m.ID}, msg, []*Spoke{s}, m, r, to)
	}
	r.Kind, r.Message = RecordReceived, bytes.Clone(msg)
	k := &stored{hub: h}
	k.ticket, k.err = h.journal.enter(entry{record: r, handed: to})
	return k
}

// awaitStored waits until an event is kept.
func (s *Spoke) awaitStored(k *stored) error {
	err := k.await(s.hub.ctx) // the error says that the hub is closed, or its store broken
	if err != nil && s.hub.opts.Relay && !errors.Is(err, errRepeat) && !errors.Is(err, eventtarget.ErrGone) {
		s.tooLate()
	}
	return err
}

// passOn does the rest for those that wait, until there are none.
func (s *Spoke) passOn() {
	ended := false
	defer func() {
		if !ended { // an Inline listener has ended this goroutine (runtime.Goexit)
			s.end(eventtarget.Reason{Code: eventtarget.CodeInternal})
			s.hub.wg.Go(s.passOn)
		}
	}()
	for p := s.uplink.first(); p != nil; p = s.uplink.first() {
		s.pass(p)
	}
	ended = true
}

// pass waits until an event is kept, and brings it to the listeners here, unless the spoke has
// ended: it was closed, or its session goes on at another hub, where its peer sends it again. But
// what a log in common has counts there, too.
func (s *Spoke) pass(p *passing) {
	defer s.uplink.leave() // whatever its listeners do
	err := s.awaitStored(p.stored)
	var to handed
	if err == nil {
		to = p.to
		s.hub.forward(s.ctx, s.id, fromSpoke, &p.event)
	}
	s.uplink.awaitBefore(s.hub.ctx)
	s.bring(p.event, func() { s.bringHere(p.event, to, err == nil) })
	if s.session != nil {
		s.tookUnless(err)
	}
}

// next waits until there is room for n bytes, and returns the number of the next message.
// Under Spoke.receiving.
func (x *uplink) next(s *Spoke, n int) (number uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for k := len(x.waiting); k > 0; k = len(x.waiting) {
		last := x.waiting[k-1].stored // one of each spoke may wait for room in the journal
		if k < maxPassing && x.bytes+n <= s.hub.opts.SpokeBytes && !s.hub.journal.isInLine(last.ticket) {
			break
		}
		x.await()
	}
	switch {
	case s.session == nil:
		return 0
	case len(x.waiting) == 0:
		return s.session.in.Load() + 1
	default:
		return x.number + 1
	}
}

// settle waits until those have left that are there now.
func (x *uplink) settle() {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for upto := x.left + uint64(len(x.waiting)); x.left < upto; {
		x.await()
	}
}

// await waits until one has left. Under mu, which it releases meanwhile.
func (x *uplink) await() {
	if x.changed == nil {
		x.changed = make(chan struct{})
	}
	changed := x.changed
	x.mu.Unlock()
	<-changed
	x.mu.Lock()
}

// awaitBefore waits until the listeners have heard what the session said at another hub.
func (x *uplink) awaitBefore(ctx context.Context) {
	if x.after == nil {
		return
	}
	select {
	case <-x.after:
	case <-ctx.Done():
	}
	x.after = nil
}

// first returns the one that waits longest, or nil. It waits until leave.
func (x *uplink) first() *passing {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) == 0 {
		x.waiting, x.busy = nil, false // an idle spoke holds nothing
		return nil
	}
	return x.waiting[0]
}

// leave takes that one out.
func (x *uplink) leave() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.bytes -= x.waiting[0].size
	x.waiting[0] = nil
	x.waiting = x.waiting[1:]
	x.left++
	if x.changed != nil {
		close(x.changed)
		x.changed = nil
	}
}
