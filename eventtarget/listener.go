package eventtarget

import (
	"context"
	"fmt"
)

const (
	// DefaultQueue is how many events may wait for a queued listener by default, at most:
	// its goroutine takes up to 16 together, and there is room for up to 15 fewer.
	DefaultQueue = 16384
	// DefaultQueueBytes is how many bytes of payloads may then wait for it, where those
	// are [Raw]: what a peer may send at will is not to fill the memory.
	DefaultQueueBytes = 64 << 20
)

// Listener is what is added to a target.
//
// By default a listener is queued: events wait in a queue of its own and its
// Handle runs on a goroutine of the target's, one event at a time, in order. No
// goroutine is kept for a listener that has nothing to do.
type Listener[T any] struct {
	// Handle is called for each event. ctx carries the values of Add's ctx and
	// is cancelled by Remove and Close, never by whoever dispatched. Handle may
	// call anything on any target, with ctx: what would wait for a listener then
	// returns [ErrWouldBlock]. A panic in it is recovered and reported.
	Handle func(ctx context.Context, e Event[T])
	// Queue is how many events may wait, not counting the one being handled.
	// 0 means [DefaultQueue], and about [DefaultQueueBytes], but always one event; the memory
	// is taken as it is needed.
	Queue int
	// Overflow is what happens to an event that finds the queue full:
	// [DropNewest] (the default), [DropOldest] or [Block].
	Overflow Overflow
	// Inline runs Handle on the goroutine that delivers: the dispatcher's, or the one
	// that brings what a connection has brought. It must be quick and never block. Calls
	// may be concurrent. There is no queue: Queue and Overflow must be zero.
	Inline bool
	// Once removes the listener when its first event is handled, also if that is one which
	// the codec of a view refuses ([Typed]).
	Once bool
}

// Func returns a queued listener that calls fn.
func Func[T any](fn func(context.Context, Event[T])) Listener[T] {
	return Listener[T]{Handle: fn}
}

func (l Listener[T]) check() error {
	switch {
	case l.Handle == nil:
		return fmt.Errorf("listener without Handle")
	case l.Queue < 0:
		return fmt.Errorf("listener with a negative Queue (%d)", l.Queue)
	case l.Inline && (l.Queue != 0 || l.Overflow != DropNewest):
		return fmt.Errorf("an Inline listener has no queue: Queue and Overflow must be zero")
	}
	switch l.Overflow {
	case DropNewest, DropOldest, Block:
		return nil
	default:
		return fmt.Errorf("a listener cannot have Overflow %v", l.Overflow)
	}
}

// Overflow says what happens when a bounded queue or log is full. One type
// serves everywhere; each place documents which values it takes.
type Overflow uint8

const (
	// DropNewest discards and counts the event that finds no room.
	DropNewest Overflow = iota
	// DropOldest discards and counts the event that has waited longest.
	DropOldest
	// Block makes Dispatch wait for room, no longer than its ctx.
	Block
	// Reject makes Dispatch return [ErrOverflow].
	Reject
	// Disconnect ends the connection of the spoke that fell behind.
	Disconnect
	// Conflate keeps only the last of the events on each topic that wait for the
	// spoke that fell behind.
	Conflate
)

// String returns the policy's name as it is written in configuration.
func (o Overflow) String() string {
	switch o {
	case DropNewest:
		return "drop-newest"
	case DropOldest:
		return "drop-oldest"
	case Block:
		return "block"
	case Reject:
		return "reject"
	case Disconnect:
		return "disconnect"
	case Conflate:
		return "conflate"
	default:
		return fmt.Sprintf("overflow(%d)", uint8(o))
	}
}
