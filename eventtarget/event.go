package eventtarget

import "encoding/json"

// Raw is a payload as it stands on the wire: the text of one JSON value. A nil
// Raw is an absent payload, which is something else than the JSON value null.
type Raw = json.RawMessage

// Event is one thing that happened. Type says what, ID to which subject;
// together they are the event's [Topic].
//
// An Event is a value and may be copied. The payload and the headers of a
// delivered event are shared between all who hear it: treat them as read-only.
type Event[T any] struct {
	// Type is what happened: see [Topic] for its grammar.
	Type string
	// ID is the subject that it happened to; it may be empty.
	ID string
	// Payload is what the event carries.
	Payload T
	// Headers travel with the event, for what is not part of the payload
	// (a trace context, say). Mostly nil; bounded by [Limits].
	Headers map[string]string
	// Source is the adjacent peer that the event came from, to answer it. It
	// is nil for an event of one's own and on a bus. Dispatch ignores it.
	Source Peer
	// Redelivered is set only by targets that declare at-least-once delivery,
	// on an event that may have been delivered before. Dispatch ignores it.
	Redelivered bool
}

// Topic returns the event's topic.
func (e Event[T]) Topic() Topic { return Topic{Type: e.Type, ID: e.ID} }
