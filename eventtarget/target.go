package eventtarget

import "context"

// TypedEventTarget is the one interface of this toolkit. In memory, over a
// network or to a child process, a program adds listeners to it, removes them
// and dispatches events; what differs between two implementations and is not
// declared is a bug. The laws that every implementation keeps are the list of
// package conformance; the ids below are theirs.
//
// For callers: all methods may be called from any goroutine, from inside a
// listener too, and after the target was closed.
//
// For implementers: build on [Registry], or on packages link and hub, which
// keep most of these for you:
//
//  1. Add returns nil only when the registration is live (A02). ctx bounds the
//     call, not the registration.
//  2. Remove never waits (A11, A12). It is true for the call that ended the
//     registration and false for any other, on a nil or foreign registration
//     too (A08, A09). An event whose Dispatch begins after Remove returned is
//     never delivered to it; waiting events are discarded (A10).
//  3. Dispatch returning nil means accepted. It never waits for a listener but
//     one that asked for [Block], and then no longer than ctx (A26, D01). After
//     that, every loss that can be known is announced: an error, a counted
//     drop, or a gap.
//  4. A goroutine's events arrive at an endpoint in the order of its Dispatch
//     calls, over all topics (A17), each exactly once (A01) unless the target
//     declares at-least-once and sets Redelivered.
//  5. The caller may reuse its buffers once Dispatch returned (A35).
//  6. No lock is held and no connection waits while a listener runs (A14, D12,
//     D13); a panic in one is reported and the others still run (A23).
//  7. After Close, Add and Dispatch return [ErrClosed] (A29).
type TypedEventTarget[T any] interface {
	Add(ctx context.Context, topic Topic, l Listener[T]) (*Registration, error)
	Remove(r *Registration) bool
	Dispatch(ctx context.Context, e Event[T]) error
}

// Target is what every wire adapter implements: an event target whose payloads
// are JSON text. [Typed] gives it a Go type.
type Target = TypedEventTarget[Raw]

// Peer is the other end of a conversation, seen as a target: what is dispatched
// to it reaches that end alone, and a listener on it hears that end alone.
type Peer interface {
	Target
	// ID names the peer among those of its hub or link; it is never empty.
	ID() string
	// Identity is who the peer proved to be, or empty.
	Identity() string
}

// Endpoint is a target with a life of its own: what opening a URL returns. The
// targets of all our adapters are Endpoints; their own types offer more.
type Endpoint interface {
	Target
	// Close ends the target at once and never waits. What was accepted and is
	// not yet out is discarded: counted, and told in one fault. The other end is
	// told while it goes on: a program that ends waits for Done first. It returns
	// nil, also when called again.
	Close() error
	// Shutdown drains what was accepted, ends the target and waits for its
	// listeners; ctx bounds the wait. It returns nil when everything was
	// drained, ctx's cause when that ended first, and [ErrClosed] when a Close has
	// discarded something. Called with a context that a listener was given, it
	// returns [ErrWouldBlock] and does nothing.
	Shutdown(ctx context.Context) error
	// Done is closed when the target is closed and every goroutine that it
	// owned has ended.
	Done() <-chan struct{}
	// State tells how the target stands now.
	State() State
	// Ready waits until the target is up. It returns [ErrClosed] if it never
	// will be, and ctx's cause if ctx ends first.
	Ready(ctx context.Context) error
}

// BatchDispatcher is implemented by a target over a network that has an answer for each
// event, and for which many at a time cost little more than one. Joined hubs use it.
type BatchDispatcher interface {
	// DispatchAll dispatches events one behind the other, as one goroutine that calls
	// Dispatch for each would, and waits for what becomes of them together. It returns nil
	// when all were accepted, otherwise what Dispatch would have returned for each.
	// When the connection fails at one of them, none of those behind it is accepted, so
	// that what is missing is the end of the events and not a hole in them; one that is
	// refused for what it is stands for itself. ctx bounds all of it.
	DispatchAll(ctx context.Context, events []Event[Raw]) []error
}

// State is how a target stands.
type State uint8

// The states of a target. Listeners stay registered through all but the last.
const (
	StateConnecting State = iota // not up yet
	StateUp                      // connected, or in no need of a connection
	StateDown                    // the connection was lost; it is being made again
	StateClosed                  // closed, for good
)

// String returns "connecting", "up", "down" or "closed".
func (s State) String() string {
	switch s {
	case StateConnecting:
		return "connecting"
	case StateUp:
		return "up"
	case StateDown:
		return "down"
	default:
		return "closed"
	}
}
