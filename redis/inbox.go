package redis

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// arrival is a message that waits to be delivered, or only a loss to be told.
type arrival struct {
	loss          loss // before the message
	channel, text string
	entry         entryID // of the log
	passed        bool    // it is not to be delivered: only that everything up to it was is to be noted
	again         bool    // it may have been delivered before
}

// loss is what is missing.
type loss struct {
	any   bool
	count uint64 // 0: unknown
	err   error
}

func (l loss) plus(o loss) loss {
	switch {
	case !l.any:
		return o
	case !o.any:
		return l
	case l.count == 0 || o.count == 0: // unknown and some is unknown
		l.count = 0
	default:
		l.count += o.count
	}
	if l.err == nil {
		l.err = o.err
	}
	return l
}

// inbox is the bounded queue between the goroutine that reads from Redis, which
// must never wait, and the one that delivers. What finds no room is lost, and told
// as one gap where it was.
type inbox struct {
	maxEvents, maxBytes int

	mu      sync.Mutex
	waiting []arrival
	head    int // waiting[:head] was taken
	bytes   int
	pending loss // before whatever comes next
	dropped uint64
	closed  bool
	gone    atomic.Bool   // something that had arrived was discarded
	wake    chan struct{} // has a token when there may be something to take
	room    chan struct{} // has a token when something was taken
}

func newInbox(events, bytes int) *inbox {
	return &inbox{maxEvents: events, maxBytes: bytes, wake: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put adds a message, before which some are missing, or drops it for want of room.
func (q *inbox) put(channel, text string, missing uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if missing > 0 {
		q.pending = q.pending.plus(loss{any: true, count: missing})
	}
	if !q.add(arrival{channel: channel, text: text}) {
		q.dropped++
		q.pending = q.pending.plus(loss{any: true, count: 1, err: eventtarget.ErrOverflow})
	}
}

// putWait adds a message as soon as there is room; it is false when ctx ended before.
func (q *inbox) putWait(ctx context.Context, a arrival) bool {
	for {
		q.mu.Lock()
		added := q.add(a)
		q.mu.Unlock()
		if added {
			return true
		}
		select {
		case <-q.room:
		case <-ctx.Done():
			return false
		}
	}
}

// admit adds a message whether there is room or not.
func (q *inbox) admit(a arrival) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.append(a)
	}
}

// add is false when there is no room. Under mu.
func (q *inbox) add(a arrival) bool {
	if q.closed {
		return true // and for nobody
	}
	if len(q.waiting)-q.head >= q.maxEvents || q.bytes+len(a.text) > q.maxBytes && q.bytes > 0 {
		return false
	}
	q.append(a)
	return true
}

func (q *inbox) append(a arrival) {
	a.loss, q.pending = q.pending, loss{}
	q.waiting = append(q.waiting, a)
	q.bytes += len(a.text)
	token(q.wake)
}

// passed adds that the log has nothing up to an entry but what was put in so far.
func (q *inbox) passed(id entryID, text string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := len(q.waiting) - 1
	switch {
	case q.closed:
	case last >= q.head && q.waiting[last].passed && !q.pending.any:
		q.bytes += len(text) - len(q.waiting[last].text)
		q.waiting[last].entry, q.waiting[last].text = id, text
	default:
		q.append(arrival{entry: id, text: text, passed: true})
	}
}

// lost adds a loss alone.
func (q *inbox) lost(l loss) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = q.pending.plus(l)
	token(q.wake)
}

// token puts one where there is none.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take waits for what comes next. It is false when the inbox is closed and empty,
// or ctx has ended. What is taken is the taker's, whatever has ended meanwhile: discard
// does not count it. There is one taker.
func (q *inbox) take(ctx context.Context) (arrival, bool) {
	for ctx.Err() == nil {
		a, ok, closed := q.tryTake()
		if ok || closed {
			return a, ok
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
		}
	}
	return arrival{}, false
}

func (q *inbox) tryTake() (a arrival, ok, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head == len(q.waiting) {
		a.loss, q.pending = q.pending, loss{}
		return a, a.loss.any, q.closed
	}
	a = q.waiting[q.head]
	q.waiting[q.head] = arrival{}
	q.head++
	q.bytes -= len(a.text)
	token(q.room)
	if q.head == len(q.waiting) {
		q.head = 0
		if cap(q.waiting) > keepArrivals {
			q.waiting = nil
		}
		q.waiting = q.waiting[:0]
	} else if q.head >= keepArrivals && q.head > len(q.waiting)/2 {
		n := copy(q.waiting, q.waiting[q.head:])
		clear(q.waiting[n:])
		q.waiting, q.head = q.waiting[:n], 0
	}
	return a, true, q.closed
}

// keepArrivals bounds what an empty inbox holds on to.
const keepArrivals = 1024

// close refuses what comes; what waits can still be taken.
func (q *inbox) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	token(q.wake)
}

// discard drops what waits and tells how much that was, and what was missing before that.
func (q *inbox) discard() (n uint64, missing loss) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range q.waiting[q.head:] {
		missing = missing.plus(a.loss)
		if !a.passed {
			n++
		}
	}
	missing = missing.plus(q.pending)
	if n > 0 {
		q.gone.Store(true)
	}
	q.waiting, q.head, q.bytes, q.pending, q.closed = nil, 0, 0, loss{}, true
	token(q.wake)
	return n, missing
}
