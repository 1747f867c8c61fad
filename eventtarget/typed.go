package eventtarget

import "context"

// Typed returns a view of t whose payloads are T. Any number of views, with any
// codecs, may stand over one target; closing is the target's business.
//
// Dispatch returns the codec's error with nothing sent. A payload that the codec
// refuses on the way in is a [FaultDecode] of the target, and the listener that
// it was meant for does not hear the event; the others do (law B12).
func Typed[T any](t Target, c Codec[T]) TypedEventTarget[T] {
	return &view[T]{target: t, codec: c}
}

type view[T any] struct {
	target Target
	codec  Codec[T]
}

func (v *view[T]) Add(ctx context.Context, topic Topic, l Listener[T]) (*Registration, error) {
	raw := Listener[Raw]{Queue: l.Queue, Overflow: l.Overflow, Inline: l.Inline, Once: l.Once}
	if l.Handle != nil {
		raw.Handle = func(ctx context.Context, e Event[Raw]) {
			payload, err := v.codec.Decode(e.Type, e.Payload)
			if err != nil {
				v.ReportFault(Fault{Kind: FaultDecode, Topic: e.Topic(), Peer: peerID(e.Source), Count: 1, Err: err})
				return
			}
			l.Handle(ctx, withPayload(e, payload))
		}
	}
	return v.target.Add(ctx, topic, raw)
}

func (v *view[T]) Remove(r *Registration) bool { return v.target.Remove(r) }

func (v *view[T]) Dispatch(ctx context.Context, e Event[T]) error {
	payload, err := v.codec.Append(nil, e.Type, e.Payload)
	if err != nil {
		return &Error{Op: "dispatch", Topic: e.Topic(), Err: err}
	}
	return v.target.Dispatch(ctx, withPayload(e, Raw(payload)))
}

// ReportFault passes f to the target's hook, if it has one.
func (v *view[T]) ReportFault(f Fault) {
	if r, ok := v.target.(FaultReporter); ok {
		r.ReportFault(f)
	}
}

func withPayload[A, B any](e Event[A], payload B) Event[B] {
	return Event[B]{
		Type: e.Type, ID: e.ID, Payload: payload, Headers: e.Headers,
		Source: e.Source, Redelivered: e.Redelivered,
	}
}

// Reply dispatches an answer to the peer that an event came from, on the event's
// own ID. It returns [ErrGone] when the event has no source, and the error of the
// codec or of the peer's Dispatch.
func Reply[T, R any](ctx context.Context, to Event[T], eventType string, c Codec[R], v R) error {
	topic := Topic{Type: eventType, ID: to.ID}
	if to.Source == nil {
		return &Error{Op: "reply", Topic: topic, Err: ErrGone}
	}
	payload, err := c.Append(nil, eventType, v)
	if err != nil {
		return &Error{Op: "reply", Topic: topic, Err: err}
	}
	return to.Source.Dispatch(ctx, Event[Raw]{Type: eventType, ID: to.ID, Payload: payload})
}
