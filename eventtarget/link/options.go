package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/option"
)

// Options configures a [Link]. Exactly one of Dial and Conn is required; every
// other zero field means its default.
type Options struct {
	// Dial makes a connection. It is called again whenever one is lost, and
	// must return when ctx ends. An error that is [eventtarget.ErrForbidden]
	// ends the link: asking again would not help.
	Dial func(ctx context.Context) (Conn, error)
	// Conn is a connection that exists already. The link closes when it ends.
	Conn Conn

	// Adapter names the kind of target in errors and faults. Default "link".
	Adapter string
	// ID and Identity are what the link says of the other end as a
	// [eventtarget.Peer]. ID defaults to Adapter.
	ID, Identity string
	// Limits bounds a message.
	Limits eventtarget.Limits
	// Framing appends the header of a message of n bytes, for transports whose
	// connections take framed messages: see [FrameSender]. nil means none.
	Framing func(dst []byte, n int) []byte
	// LogBytes and LogEvents bound what waits to be sent. Default 16 MiB and
	// 65536.
	LogBytes, LogEvents int
	// Overflow is what Dispatch does when the log is full: [eventtarget.Reject]
	// (the default) or [eventtarget.Block].
	Overflow eventtarget.Overflow
	// Down is what Dispatch returns while there is no connection. nil: what is dispatched
	// then waits in the log for the next one.
	Down error
	// ReceiveOnly tells that nothing can be sent: Dispatch returns
	// [errors.ErrUnsupported].
	ReceiveOnly bool
	// Subscribe makes the link ask the hub for the topics that have listeners, so
	// that it is sent those only; the hub must know how to answer, as those of this
	// toolkit do. By default it asks for nothing, and gets what the hub sends unasked:
	// everything, as a rule.
	Subscribe bool
	// Subscriptions is how many topics the hub is asked for at most, not more than
	// it allows: a link that needs more asks for every id of a type, or for
	// everything, and drops the rest. One place is kept for that, so that it needs more with
	// the last one. Where the hub allows no wildcard, an Add too many is refused. Default 128.
	Subscriptions int

	// Echo makes the link hear its own dispatches, once they are accepted.
	Echo bool

	// Heartbeat is how often the other end is asked for a sign of life when it
	// gave none since the last time; an answer is one, so that an idle end is asked every
	// other time. Default 15 s; negative: never.
	Heartbeat time.Duration
	// Misses is how many unanswered ones end the connection. Default 2.
	Misses int
	// WriteTimeout ends a connection that does not take one message, or one write of
	// several, in so long: over a slow network it must be longer than the largest message
	// takes. Default 5 s.
	WriteTimeout time.Duration
	// DialTimeout bounds one call of Dial, and the wait for an answer to the greeting that
	// opens a session. Default 5 s.
	DialTimeout time.Duration
	// Retry tells whether to dial again after a connection, or an attempt to make one,
	// has ended so. It is asked for ends that do not speak for themselves. nil: always.
	Retry func(cause error) bool
	// Backoff is the pause before dialling again.
	Backoff Backoff

	// Setup is called by New before the link connects: what it adds hears everything
	// from the first message on. Add does not wait for a hub in it.
	Setup func(l *Link)
	// OnFault hears the faults; nil logs them.
	OnFault func(eventtarget.Fault)
	// OnState hears each change of the state, in order. It must be quick and must
	// not wait for the link.
	OnState func(c Change)
}

// Change is a change of a link's state.
type Change struct {
	State eventtarget.State
	// Cause is why the link is down or closed.
	Cause error
	// Resumed tells of one that is up that its session goes on: nothing is missing
	// that the hub does not tell as a gap. The first connection never is.
	Resumed bool
}

// Backoff is an exponential pause with jitter: before each attempt a random time between
// half as long and two and a half times as long as there has been no healthy connection. So
// after a short interruption nobody waits for long, and many who were interrupted together
// do not come back together. By default the pause is, when there has been none
//
//   - for 0.1 s: 50 to 250 ms,
//   - for 1 s: 0.5 to 2.5 s,
//   - for 1 min: 2 to 10 s, as from 4 s on.
type Backoff struct {
	// Min is how long the pause may be in any case: right after a connection was lost it is
	// a random time up to Min, which is no shortest pause. Default 100 ms.
	Min time.Duration
	// Max is how long the pause may be at last: where two and a half times would be more
	// it is a random time between a fifth of Max and Max. It goes before Min. Default
	// 10 s, or Min if that is more.
	Max time.Duration
	// Healthy is how long a connection must have lasted for the next pause to
	// begin at Min again. Default 10 s. Without it, an end that accepts and
	// hangs up would be dialled in a tight loop.
	Healthy time.Duration
}

// Check tells which of the times is negative.
func (b Backoff) Check() error {
	return cmp.Or(
		option.NotNegative("Backoff.Min", b.Min),
		option.NotNegative("Backoff.Max", b.Max),
		option.NotNegative("Backoff.Healthy", b.Healthy),
	)
}

// WithDefaults returns b with the defaults in its zero fields.
func (b Backoff) WithDefaults() Backoff {
	def(&b.Min, 100*time.Millisecond)
	def(&b.Max, max(10*time.Second, b.Min))
	def(&b.Healthy, 10*time.Second)
	return b
}

// Pause returns the pause before the next attempt, when there has been no healthy connection
// for so long. Min and Max must be set, as WithDefaults does. It is for adapters that try
// again by themselves.
func (b Backoff) Pause(failing time.Duration) time.Duration {
	longest := min(b.Max, max(b.Min, failing*5/2))
	shortest := min(failing/2, longest/5)
	return shortest + rand.N(longest-shortest) + 1
}

func (o Options) withDefaults() (Options, error) {
	def(&o.Adapter, "link") // which the error names
	if err := cmp.Or(
		o.Limits.Check(),
		option.NotNegative("LogBytes", o.LogBytes),
		option.NotNegative("LogEvents", o.LogEvents),
		option.NotNegative("Subscriptions", o.Subscriptions),
		option.NotNegative("Misses", o.Misses),
		option.NotNegative("WriteTimeout", o.WriteTimeout),
		option.NotNegative("DialTimeout", o.DialTimeout),
		o.Backoff.Check(),
	); err != nil {
		return o, err
	}
	switch {
	case (o.Dial == nil) == (o.Conn == nil):
		return o, errors.New("exactly one of Dial and Conn is required")
	case o.Overflow != eventtarget.DropNewest && o.Overflow != eventtarget.Reject && o.Overflow != eventtarget.Block:
		return o, fmt.Errorf("a link cannot have Overflow %v", o.Overflow)
	}
	o.Limits = o.Limits.WithDefaults()
	def(&o.ID, o.Adapter)
	def(&o.LogBytes, 16<<20)
	def(&o.LogEvents, 65536)
	def(&o.Overflow, eventtarget.Reject) // DropNewest is Overflow's zero
	def(&o.Subscriptions, 128)
	def(&o.Heartbeat, 15*time.Second)
	def(&o.Misses, 2)
	def(&o.WriteTimeout, 5*time.Second)
	def(&o.DialTimeout, 5*time.Second)
	o.Backoff = o.Backoff.WithDefaults()
	return o, nil
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
