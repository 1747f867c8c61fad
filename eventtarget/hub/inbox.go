package hub

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// message is a framed message for some spokes, who share it. It never changes.
type message struct {
	topic  eventtarget.Topic
	bytes  []byte
	header int               // how much of bytes is the frame's header
	after  framelog.Position // behind it, if it stands in the log; else zero
	own    bool              // dispatched to some alone, and not to all

	encoded atomic.Pointer[encoded] // as the first one of a foreign encoding wrote it
}

// control tells whether the message is one of the protocol's own, such as an answer that the
// peer waits for: it stays when events are dropped, and is not superseded.
func (m *message) control() bool { return strings.HasPrefix(m.topic.Type, eventtarget.ReservedPrefix) }

// item is something that concerns one spoke alone, with its place in the log: at
// that place the spoke's writer writes the message or does the step. One with
// neither was superseded.
type item struct {
	at  framelog.Position
	msg *message
	do  *step
}

// step is what an item does instead of writing.
type step struct {
	kind   stepKind
	to     framelog.Position  // doSkip, doFollow
	lost   uint64             // doSkip: events before to that were for this spoke, and have left the log
	reason eventtarget.Reason // doClose
	mark   func(lost uint64)  // doMark
}

// skipped tells those who wait for a step that it will not be done.
func (d *step) skipped(lost uint64) {
	if d.kind == doMark {
		d.mark(lost)
	}
}

type stepKind uint8

const (
	doSkip   stepKind = iota // go on from there: what lies between is not for this spoke
	doFollow                 // begin to follow the log, there
	doLeave                  // follow it no longer
	doClose                  // close the connection
	doMark                   // tell that everything before is out
	doHold                   // write nothing until the item has gone: see snapshot.go
)

// inbox is the items of one spoke, in the order of their places. Whoever puts one
// in does so inside the log's Update, so that a writer that has seen the log's head
// has also seen every item before it.
type inbox struct {
	some   atomic.Bool // there are items, or losses to be told: the writer looks at no more
	mu     sync.Mutex
	items  []item
	bounds *bounds
	bytes  int // of messages
	count  int // of messages
	policy eventtarget.Overflow
	ended  bool // a close was put in: nothing is written behind it

	lost      uint64 // messages that were dropped, ever
	untold    uint64 // of those and of what the log lost, not yet told as a gap
	conflated uint64
	room      chan struct{} // closed when a message was taken; nil while nobody waits
	took      time.Time     // when one was taken, or came first
	held      time.Duration // how long dispatchers have waited since there was room

	// Conflate: the last waiting message of each topic, by its number; the number of
	// items[0] is first. dead counts the superseded items.
	latest map[eventtarget.Topic]int
	first  int
	dead   int

	fallen framelog.Position // up to where what the log lost has been counted
	foldAt int               // with how many items to fold skips; 0: foldAfter
}

// bounds is what may wait in an inbox of a hub, and in all of them together.
type bounds struct {
	bytes, count int
	all          budget
}

// unlock is for whoever may have changed whether there is something.
func (b *inbox) unlock() {
	if some := len(b.items) > 0 || b.untold > 0; some != b.some.Load() {
		b.some.Store(some)
	}
	b.mu.Unlock()
}

// put appends an item. The error is [eventtarget.ErrGone] behind a close, and
// [eventtarget.ErrOverflow] when the message was not taken.
func (b *inbox) put(i item) error {
	b.mu.Lock()
	defer b.unlock()
	switch {
	case b.ended:
		return eventtarget.ErrGone
	case i.do != nil:
		b.ended = i.do.kind == doClose
	default:
		n := len(i.msg.bytes)
		conflates := b.policy == eventtarget.Conflate && !i.msg.control()
		if conflates {
			b.supersede(i.msg.topic)
		}
		for b.full(n) {
			drops := b.policy == eventtarget.DropOldest || b.policy == eventtarget.Conflate
			if b.policy == eventtarget.Block && b.count < 2*b.bounds.count {
				break // dispatchers wait behind it, each with one event at most
			}
			if drops && b.dropOldest() {
				continue
			}
			if drops && !b.over(0) {
				break // what waits are answers, and not too many
			}
			return eventtarget.ErrOverflow
		}
		if b.count == 0 {
			b.took = time.Now()
		}
		b.charge(n, 1)
		if conflates {
			b.last(i.msg.topic) // only now: what was dropped may have moved the others
		}
	}
	b.items = append(b.items, i)
	return nil
}

// sort puts the items of a spoke that begins in the order of their places: what is for it alone, and
// what it has missed, was put in behind what groups were told while it connected.
func (b *inbox) sort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	byPlace := func(i, k item) int { return cmp.Compare(i.at.Offset, k.at.Offset) }
	if slices.IsSortedFunc(b.items, byPlace) {
		return
	}
	slices.SortStableFunc(b.items, byPlace)
	b.compact() // they have moved
}

// full tells whether n bytes more are too many. An empty inbox has room for anything.
func (b *inbox) full(n int) bool {
	return b.count > 0 && (b.over(n) || b.bounds.all.over(n))
}

// over tells whether the inbox's own bounds leave no room for n bytes more.
func (b *inbox) over(n int) bool {
	return b.count >= b.bounds.count || b.bytes+n > b.bounds.bytes
}

// waiting returns how many messages wait, and their bytes.
func (b *inbox) waiting() (count, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count, b.bytes
}

// charge accounts for messages that came, or with negative numbers went.
func (b *inbox) charge(bytes, count int) {
	b.bytes += bytes
	b.count += count
	b.bounds.all.add(bytes)
}

// supersede takes the waiting message of a topic out.
func (b *inbox) supersede(topic eventtarget.Topic) {
	if n, waits := b.latest[topic]; waits {
		b.clear(n - b.first)
		delete(b.latest, topic)
		b.conflated++
	}
	if b.dead > 16 && b.dead > len(b.items)/2 {
		b.compact()
	}
}

// last remembers that the last message of a topic is the one that is put in next.
func (b *inbox) last(topic eventtarget.Topic) {
	if b.latest == nil {
		b.latest = make(map[eventtarget.Topic]int)
	}
	b.latest[topic] = b.first + len(b.items)
}

// clear takes the message of items[i] out.
func (b *inbox) clear(i int) {
	b.charge(-len(b.items[i].msg.bytes), -1)
	b.items[i].msg = nil
	b.dead++
}

// compact forgets the superseded items, and where they stood.
func (b *inbox) compact() {
	clear(b.latest)
	live := b.items[:0]
	for _, i := range b.items {
		if i.msg == nil && i.do == nil {
			continue
		}
		if i.msg != nil && b.latest != nil && !i.msg.control() {
			b.latest[i.msg.topic] = b.first + len(live)
		}
		live = append(live, i)
	}
	clear(b.items[len(live):])
	b.items, b.dead = live, 0
}

// dropOldest drops the event that has waited longest. It is false if there is none.
func (b *inbox) dropOldest() (dropped bool) {
	for i := range b.items {
		if m := b.items[i].msg; m != nil && !m.control() {
			if b.latest[m.topic] == b.first+i {
				delete(b.latest, m.topic)
			}
			b.clear(i)
			b.lost++
			b.untold++
			dropped = true
			break
		}
	}
	b.trim()
	if b.dead > 16 && b.dead > len(b.items)/2 {
		b.compact()
	}
	return dropped
}

// trim takes superseded items off the front.
func (b *inbox) trim() {
	for len(b.items) > 0 && b.items[0].msg == nil && b.items[0].do == nil {
		b.dead--
		b.pop()
	}
}

// pop takes the first item out.
func (b *inbox) pop() item {
	i := b.items[0]
	b.items[0] = item{}
	b.items = b.items[1:]
	b.first++
	if len(b.items) == 0 {
		b.items, b.foldAt = nil, 0 // an idle spoke holds nothing
	}
	return i
}

// next returns the place of the first item if it is not behind head, and how much was lost that
// is to be told before it.
func (b *inbox) next(head framelog.Position) (at framelog.Position, found bool, untold uint64) {
	b.mu.Lock()
	defer b.unlock()
	b.trim()
	if len(b.items) == 0 || b.items[0].at.Offset > head.Offset {
		return framelog.Position{}, false, b.untold
	}
	return b.items[0].at, true, b.untold
}

// take takes messages out, those not behind due, until there are batch bytes of
// them or a step stands in the way; if there is no message to take, the step, which
// stays if it is a hold. There may be neither: what next has seen may have been
// superseded, or dropped, and then that is to be told first.
func (b *inbox) take(into []*message, due framelog.Position, batch int) ([]*message, *step) {
	b.mu.Lock()
	defer b.unlock()
	for n := 0; n < batch && b.untold == 0; {
		b.trim()
		if len(b.items) == 0 || b.items[0].at.Offset > due.Offset {
			break
		}
		i := b.items[0]
		if i.do != nil {
			if len(into) > 0 {
				break
			}
			if i.do.kind == doHold {
				return into, i.do
			}
			return into, b.pop().do // as it is now: a skip may have become longer
		}
		if b.latest[i.msg.topic] == b.first {
			delete(b.latest, i.msg.topic)
		}
		b.charge(-len(i.msg.bytes), -1)
		n += len(i.msg.bytes)
		into = append(into, b.pop().msg)
	}
	if len(into) > 0 {
		b.took = time.Now()
		if !b.crowded() {
			b.held = 0
		}
		b.open()
	}
	return into, nil
}

// release gives up what waits, which nobody will take, and tells those who wait for
// it. It returns how many messages that were.
func (b *inbox) release() (discarded uint64) {
	b.mu.Lock()
	items := b.items
	discarded = uint64(b.count)
	lost := b.lost
	b.charge(-b.bytes, -b.count)
	b.items, b.latest, b.ended = nil, nil, true
	b.open()
	b.unlock()
	for _, i := range items {
		if i.do != nil {
			i.do.skipped(lost)
		}
	}
	return discarded
}
