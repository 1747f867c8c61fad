package hub

import (
	"cmp"
	"context"
	"fmt"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var errOver = fmt.Errorf("%w: %w", eventtarget.ErrUnknownOutcome, eventtarget.ErrClosed)

// number gives a record what it is known by when it comes back.
func (x *shared) number(e *entry) {
	x.ref++
	e.record.Hub, e.record.Ref = x.id, x.ref
	x.mu.Lock()
	x.sent[x.ref] = *e
	x.mu.Unlock()
}

// appended tells those who wait if the store could not, or if it will not come back any more.
func (x *shared) appended(batch []entry, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil && !x.over {
		return
	}
	for _, e := range batch {
		x.finish(e.record.Ref, cmp.Or(err, errOver))
	}
	x.rest()
}

// finish takes out what was sent, if it still is there, makes room and tells who waits for
// it. Under mu.
func (x *shared) finish(ref uint64, err error) {
	if e, there := x.sent[ref]; there {
		delete(x.sent, ref)
		x.leave(e)
		e.finish(err)
	}
}

// finish tells who waits for an entry. Once.
func (e *entry) finish(err error) {
	if e.done != nil {
		e.done <- err
	}
}

// giveUp tells those who wait that nothing comes back any more.
func (x *shared) giveUp() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	for ref := range x.sent {
		x.finish(ref, errOver)
	}
	x.rest()
}

// doubtSent notes that the log may have lost what has not come back yet. What is appended
// now will tell, also while the hub drains: it waits for that.
func (x *shared) doubtSent() {
	x.mu.Lock()
	for ref := range x.sent {
		x.doubt = max(x.doubt, ref)
	}
	if len(x.sent) > 0 && x.failed == nil {
		x.queue = append(x.queue, entry{record: Record{Kind: RecordAlive}})
		x.poke()
	}
	x.mu.Unlock()
}

// lose gives up what the log has lost: what was appended before something that has come
// back. Under mu.
func (x *shared) lose(back uint64) {
	if x.doubt == 0 {
		return
	}
	for ref := range x.sent {
		if ref < back {
			x.finish(ref, fmt.Errorf("%w: %w", eventtarget.ErrUnknownOutcome, errLogLost))
		}
	}
	if back > x.doubt {
		x.doubt = 0
	}
	x.rest()
}

// done takes out what has come back, and tells who waits for it.
func (x *shared) done(e entry, err error) {
	if e.record.Ref == 0 {
		return // another hub's
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.finish(e.record.Ref, err)
	x.rest()
}

// rest tells who waits for it that everything has come back, or will not any more, if that
// is so. Under mu.
func (x *shared) rest() {
	if len(x.sent) == 0 && x.idle != nil {
		close(x.idle)
		x.idle = nil
	}
}

// settle waits until everything that was appended has been applied, bounded by ctx.
func (x *shared) settle(ctx context.Context) error {
	x.mu.Lock()
	if len(x.sent) == 0 {
		x.mu.Unlock()
		return nil
	}
	if x.idle == nil {
		x.idle = make(chan struct{})
	}
	idle := x.idle
	x.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-x.hub.ctx.Done():
	}
	return nil
}
