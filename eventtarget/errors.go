package eventtarget

import (
	"errors"
	"strings"
)

// The errors that a caller branches on, with [errors.Is]. What a target returns
// is an [*Error] around one of them, around a context's or a codec's error, or around what
// its network or its store says.
var (
	// ErrClosed: the target was closed.
	ErrClosed = errors.New("target is closed")
	// ErrInvalidTopic: the type or the id breaks the grammar of [Topic].
	ErrInvalidTopic = errors.New("invalid topic")
	// ErrInvalidPayload: the payload is not one JSON value in valid UTF-8.
	ErrInvalidPayload = errors.New("invalid payload")
	// ErrTooLarge: the message is over [Limits].Message.
	ErrTooLarge = errors.New("message too large")
	// ErrOverflow: a bounded queue or log is full and set to refuse.
	ErrOverflow = errors.New("queue is full")
	// ErrWouldBlock: the call would have to wait, and it was made from inside
	// a listener (it carries the context that the listener was given).
	ErrWouldBlock = errors.New("would wait inside a listener")
	// ErrForbidden: the peer refused what was asked of it, or its identity.
	ErrForbidden = errors.New("forbidden")
	// ErrGone: the peer that the event was meant for has left.
	ErrGone = errors.New("peer is gone")
	// ErrLimit: a count is over its limit: headers, nesting, connections, bridges. A hub that
	// has granted as many subscriptions as it does tells its spoke so by ErrForbidden.
	ErrLimit = errors.New("limit reached")
	// ErrUnknownOutcome: whether the event was accepted cannot be known.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// Error says which call on which target failed, and why. It wraps the cause:
//
//	if errors.Is(err, eventtarget.ErrTooLarge) { … }
type Error struct {
	Op      string // "add", "dispatch", "open", "shutdown", …
	Adapter string // "inprocess", "wsclient", …; may be empty
	Topic   Topic  // the topic concerned; zero when there is none
	Err     error
}

// Error returns "eventtarget: adapter: op topic: cause".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("eventtarget: ")
	if e.Adapter != "" {
		b.WriteString(e.Adapter + ": ")
	}
	b.WriteString(e.Op)
	if e.Topic != (Topic{}) && !errors.Is(e.Err, ErrInvalidTopic) {
		b.WriteString(" " + e.Topic.String())
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
