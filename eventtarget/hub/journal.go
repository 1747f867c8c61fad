package hub

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// journal is what a hub with a store keeps there, and what it has found there. One
// goroutine writes, run, as much at once as has come together.
type journal struct {
	hub    *Hub
	store  Store
	shared *shared // nil: the store is this hub's alone
	name   string  // with a shared store: under mu

	kept uint64 // the number of the last event that the store was given. The writer's

	mu      sync.Mutex
	queue   []entry
	room    room // what waits in it, and for it
	wake    chan struct{}
	closed  bool
	failed  error
	drained chan struct{} // closed when nothing waits; nil: nobody waits for that

	// seq is the number of the last event in the log. Inside the log's Update.
	seq uint64
	// recent is of the time before the hub began, too, as long as the peers of that time
	// may come back. Inside the log's Update.
	recent   recent
	handling handling

	// returning are the sessions of that time; with a shared store all that there are.
	// Under mu.
	returning map[string]*returning
	passed    passed // with another store. Under mu
}

// entry is a record that is to be kept, and what is to be done when it is.
type entry struct {
	record  Record
	decoded *wire.Message
	apply   func(u framelog.Update, msg []byte) // of an event
	handed  *handed                             // nil, or to be numbered for the hub's own listeners
	done    chan error                          // nil: nobody has waited
	size    int                                 // of the message when it came
}

// newJournal reads what the store has.
func newJournal(h *Hub) (*journal, error) {
	j := &journal{
		hub: h, store: h.opts.Store, wake: make(chan struct{}, 1),
		room:      room{maxEvents: h.opts.LogEvents, maxBytes: h.opts.LogBytes},
		returning: make(map[string]*returning),
	}
	j.handling.wake = j.poke
	if all, is := j.store.(SharedStore); is {
		j.shared = newShared(j, all)
		j.handling.state = off // each hub has its own listeners, and dies its own death
	}
	first := true
	for r, err := range j.store.Restore() {
		if err != nil {
			return nil, fmt.Errorf("the store: %w", err)
		}
		if first && r.Seq > 0 {
			j.recent.floor = r.Seq - 1
		}
		first = false
		j.restore(r)
	}
	j.kept = j.seq
	if j.shared != nil {
		return j, nil
	}
	j.passed = make(passed)
	for id, x := range j.returning {
		j.passed[x.identity] = append(j.passed[x.identity], absent{id, x})
	}
	if len(j.returning) == 0 {
		j.recent.giveUp()
	}
	if j.name == "" {
		j.name = newID()[:10]
		if err := j.store.Append([]Record{{Kind: RecordName, Name: j.name}}); err != nil {
			return nil, fmt.Errorf("the store: %w", err)
		}
	}
	return j, nil
}

// begin begins to keep what is to be kept.
func (j *journal) begin() error {
	if j == nil {
		return nil
	}
	j.hub.wg.Go(j.run)
	if j.shared == nil {
		return nil
	}
	return j.shared.begin()
}

// run keeps what is to be kept until the hub ends.
func (j *journal) run() {
	if j.shared != nil {
		j.shared.run()
		return
	}
	late := time.NewTimer(j.hub.opts.SessionTimeout)
	defer late.Stop()
	for {
		select {
		case <-j.wake:
			j.write()
		case <-late.C:
			j.giveUp()
		case <-j.hub.ctx.Done():
			j.close()
			j.write()
			return
		}
	}
}

// giveUp forgets the sessions that have not come back, and what was kept for them.
func (j *journal) giveUp() {
	j.mu.Lock()
	for id := range j.returning {
		j.queue = append(j.queue, entry{record: Record{Kind: RecordEnded, Session: id}})
	}
	j.returning, j.passed = nil, nil
	j.mu.Unlock()
	j.hub.log.Update(func(framelog.Update) { j.recent.giveUp() })
	j.write()
}

// write keeps what waits and applies it, in order. Only run calls it.
func (j *journal) write() {
	for {
		j.mu.Lock()
		batch := j.queue
		j.queue = nil
		err := j.failed
		j.mu.Unlock()
		handled, changed := j.handling.record()
		if len(batch) == 0 && !changed {
			if j.empty() {
				return
			}
			continue
		}
		records := make([]Record, len(batch), len(batch)+1)
		for i := range batch {
			e := &batch[i]
			if j.shared != nil {
				j.shared.number(e)
			} else if e.record.Kind == RecordEvent {
				j.kept++ // also where it comes to nothing: no number is given twice
				e.record.Seq = j.kept
				e.record.Message = wire.Stamp(nil, e.record.Message, e.decoded, j.kept)
			}
			if e.handed != nil {
				e.record.Local, *e.handed = j.handling.number()
			}
			records[i] = e.record
		}
		if changed {
			records = append(records, handled)
		}
		if err == nil {
			if err = j.store.Append(records); err != nil { // it may have some of them
				err = fmt.Errorf("%w: %w", eventtarget.ErrUnknownOutcome, j.fail(err))
			}
		}
		if j.shared != nil {
			j.shared.appended(batch, err)
			continue
		}
		j.mu.Lock()
		j.leave(batch...)
		j.mu.Unlock()
		for _, e := range batch {
			if err == nil && e.apply != nil {
				err = j.apply(e)
			}
			e.finish(err)
		}
	}
}

// apply makes an event that is kept one of the log's.
func (j *journal) apply(e entry) (err error) {
	j.hub.log.Update(func(u framelog.Update) {
		if u.Sealed() {
			// It is kept, so who comes back to another process hears it.
			err = eventtarget.ErrUnknownOutcome
			return
		}
		j.seq = e.record.Seq
		at := u.Head()
		e.apply(u, e.record.Message)
		j.recent.add(&e.record, logged(u, at), &j.hub.opts)
	})
	j.hub.wakeAll() // here, because its dispatcher may have given up
	return err
}

// fail makes the journal refuse everything from now on, and returns why.
func (j *journal) fail(err error) error {
	err = fmt.Errorf("the store: %w", err)
	j.mu.Lock()
	j.failed = err
	j.sendAway(err)
	j.mu.Unlock()
	j.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDiscarded, Err: err})
	return err
}

// close makes the journal refuse what comes: sessions that end with the hub go on in
// another process.
func (j *journal) close() {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.sendAway(eventtarget.ErrClosed)
}

// empty tells whether nothing waits, and tells those who wait for that.
func (j *journal) empty() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) > 0 {
		return false
	}
	if j.drained != nil {
		close(j.drained)
		j.drained = nil
	}
	return true
}

// drain is close, and waits until what waits is kept, bounded by ctx: a store may be stuck.
func (j *journal) drain(ctx context.Context) error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	j.closed = true
	j.sendAway(eventtarget.ErrClosed)
	if j.drained == nil {
		j.drained = make(chan struct{})
	}
	drained := j.drained
	j.poke()
	j.mu.Unlock()
	select {
	case <-drained:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-j.hub.ctx.Done():
		return nil
	}
	if j.shared != nil {
		return j.shared.settle(ctx)
	}
	return nil
}

// refuses tells why nothing is kept any more, if that is so. Under mu.
func (j *journal) refuses() error {
	switch {
	case j.failed != nil:
		return j.failed
	case j.closed:
		return eventtarget.ErrClosed
	}
	return nil
}

// poke makes run look.
func (j *journal) poke() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// keep keeps a record and waits for that: see await.
func (j *journal) keep(ctx context.Context, e entry) error {
	p, err := j.enter(e)
	if err != nil {
		return err
	}
	return j.await(ctx, p)
}

// note keeps a record some time soon, however much waits.
func (j *journal) note(r Record) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refuses() == nil { // an error is one for whoever waits
		j.queue = append(j.queue, entry{record: r})
		j.poke()
	}
}
