package hub

import (
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// frame is a framed message.
type frame struct {
	bytes  []byte
	header int
}

// item is something that concerns one spoke alone, with its place in the log: at
// that place the spoke's writer writes the frame, or skips to another place, or
// closes the connection.
type item struct {
	at     framelog.Position
	frame  frame
	skipTo framelog.Position   // zero: no skip
	close  *eventtarget.Reason // nil: stay
}

// inbox is the items of one spoke, in the order of their places. Whoever puts one
// in holds the log's lock, so that a writer that has seen the log's head has also
// seen every item before it.
type inbox struct {
	mu    sync.Mutex
	items []item
	bytes int
	count int  // of frames
	ended bool // a close was put in: nothing is written behind it
}

// put appends an item. The error is [eventtarget.ErrOverflow] when that is over the
// bounds, and [eventtarget.ErrGone] behind a close.
func (b *inbox) put(i item, maxBytes, maxEvents int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return eventtarget.ErrGone
	}
	if i.frame.bytes != nil {
		if b.count > 0 && (b.bytes+len(i.frame.bytes) > maxBytes || b.count >= maxEvents) {
			return eventtarget.ErrOverflow
		}
		b.bytes += len(i.frame.bytes)
		b.count++
	}
	b.ended = i.close != nil
	b.items = append(b.items, i)
	return nil
}

// skip appends a skip, or lengthens the last item if that is one that ends there.
func (b *inbox) skip(from, to framelog.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.items); n > 0 && b.items[n-1].skipTo == from {
		b.items[n-1].skipTo = to
		return
	}
	b.items = append(b.items, item{at: from, skipTo: to})
}

// first returns the first item if its place is not behind head.
func (b *inbox) first(head framelog.Position) (item, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) == 0 || b.items[0].at.Offset > head.Offset {
		return item{}, false
	}
	return b.items[0], true
}

// shift takes the first item out, as it is now: a skip may have become longer
// since it was looked at.
func (b *inbox) shift() item {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.items[0]
	if f := first.frame.bytes; f != nil {
		b.bytes -= len(f)
		b.count--
	}
	b.items[0] = item{}
	b.items = b.items[1:]
	if len(b.items) == 0 {
		b.items = nil // an idle spoke holds nothing
	}
	return first
}

// waiting returns how many frames wait.
func (b *inbox) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count
}
