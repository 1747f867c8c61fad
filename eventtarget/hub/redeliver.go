package hub

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// handledAfter is how long the store may not know yet that an event was handled, when
// nothing else is kept.
const handledAfter = 50 * time.Millisecond

var errTooLate = errors.New("Redeliver is for before the first spoke, and for a hub with a Store")

// Redeliver makes delivery to the hub's own listeners at least once, from now on and over
// the death of the process: it delivers to those that there are what spokes had sent
// and the listeners of a process before had not finished with, the oldest first, and has
// the store remember how far these are. What it delivers is marked Redelivered and has no
// Source: the spoke is not back yet. An event is finished with when each listener that
// was to hear it has returned, panicked, dropped it as its policy says, or was removed.
//
// It is to be called once, after Add and before the first spoke is attached, and it is an
// error otherwise, and without a Store. ctx bounds how long it waits for listeners with
// Block; what it has not delivered by then is left to the next process. What of
// that the store does not have any more, and what is beyond LogBytes and LogEvents, is
// told as a FaultGap first.
//
// An event of a spoke is then acknowledged when the store has it, in a hub that does not
// relay too. Not at least once are the listeners on a spoke, which die with it, and the
// hub's own dispatches, with Echo.
func (h *Hub) Redeliver(ctx context.Context) error {
	if h.journal == nil {
		return h.fail("redeliver", eventtarget.Topic{}, errTooLate)
	}
	missed, lost, err := h.journal.handling.begin()
	if err != nil {
		return h.fail("redeliver", eventtarget.Topic{}, err)
	}
	if lost > 0 {
		h.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: lost, Err: errors.New("the store has no more of what listeners had not finished with")})
	}
	for _, r := range missed {
		m, err := wire.Decode(r.message, h.opts.Limits)
		if err != nil { // other Limits than before
			h.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Count: 1, Err: fmt.Errorf("the store: %w", err)})
			r.handed.done()
			continue
		}
		err = h.registry.DeliverThen(ctx, eventtarget.Event[eventtarget.Raw]{
			Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: m.Headers, Redelivered: true,
		}, r.handed.done)
		if err != nil && (ctx.Err() != nil || errors.Is(err, eventtarget.ErrClosed)) {
			return err
		}
	}
	return nil
}

// handling is which of the events of spokes the hub's own listeners have not finished
// with. Those are numbered, in the order in which the store has them.
type handling struct {
	wake func() // makes the journal keep what has changed

	mu      sync.Mutex
	state   handlingState
	last    uint64      // the number of the last event
	kept    uint64      // up to where the store knows that they are handled
	open    list.List   // of uint64: those that are not, in order
	late    bool        // wake will be called
	restore []unhandled // what a process before had not handled; until begin or pass
	size    int
}

// unhandled is an event that a process before had not handled, by its number.
type unhandled struct {
	number  uint64
	message []byte
}

// unhandledSize is about what one costs here beside its message.
const unhandledSize = 64

type handlingState uint8

const (
	before handlingState = iota // the first spoke
	under                       // way
	off
)

// handed is an event that was handed to listeners, or will be. The zero one is none
// that is kept.
type handed struct {
	by *handling
	at *list.Element
}

// redelivered is an event that is delivered again.
type redelivered struct {
	message []byte
	handed  handed
}

// found takes note of a record in the store.
func (x *handling) found(r Record, events, bytes int) {
	switch {
	case r.Kind == RecordHandled:
		x.kept, x.last = r.Local, max(x.last, r.Seq, r.Local)
		for len(x.restore) > 0 && x.restore[0].number <= x.kept {
			x.forget()
		}
	case r.Local > 0:
		x.last = max(x.last, r.Local)
		x.restore = append(x.restore, unhandled{r.Local, r.Message})
		x.size += len(r.Message) + unhandledSize
		for len(x.restore) > 1 && (x.size > bytes || len(x.restore) > events) {
			x.forget()
		}
	}
}

func (x *handling) forget() {
	x.size -= len(x.restore[0].message) + unhandledSize
	x.restore[0] = unhandled{}
	x.restore = x.restore[1:]
}

// begin returns what was not handled, and how much of that is gone.
func (x *handling) begin() (missed []redelivered, lost uint64, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state != before {
		return nil, 0, errTooLate
	}
	x.state = under
	lost = x.last - x.kept - uint64(len(x.restore))
	for _, r := range x.restore {
		missed = append(missed, redelivered{r.message, handed{x, x.open.PushBack(r.number)}})
	}
	x.restore = nil
	return missed, lost, nil
}

// pass tells that the first spoke comes: who has not asked by now does not want to know.
func (j *journal) pass() {
	if j == nil {
		return
	}
	x := &j.handling
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.state == before {
		x.state, x.restore = off, nil
	}
}

func (x *handling) underWay() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.state == under
}

// number gives an event its number.
func (x *handling) number() (uint64, handed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last++
	return x.last, handed{x, x.open.PushBack(x.last)}
}

// done notes that an event is handled.
func (h handed) done() {
	if h.by == nil {
		return
	}
	x := h.by
	x.mu.Lock()
	defer x.mu.Unlock()
	first := h.at == x.open.Front()
	x.open.Remove(h.at)
	if first && !x.late {
		x.late = true
		time.AfterFunc(handledAfter, x.wake)
	}
}

// record returns what the store is to know, if it does not.
func (x *handling) record() (r Record, changed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	upto := x.last
	if first := x.open.Front(); first != nil {
		upto = first.Value.(uint64) - 1
	}
	x.late = false
	if x.state != under || upto == x.kept {
		return r, false
	}
	x.kept = upto
	return Record{Kind: RecordHandled, Local: upto, Seq: x.last}, true
}
