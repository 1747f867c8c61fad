package eventtarget

import "iter"

// Filter yields the events of a sequence, such as [Subscription.All], that keep tells to
// keep. Errors are always kept.
func Filter[T any](events iter.Seq2[Event[T], error], keep func(Event[T]) bool) iter.Seq2[Event[T], error] {
	return func(yield func(Event[T], error) bool) {
		for e, err := range events {
			if (err != nil || keep(e)) && !yield(e, err) {
				return
			}
		}
	}
}

// Map yields what fn makes of the payloads of a sequence's events, and its error in
// their place. Errors of the sequence pass.
func Map[T, R any](events iter.Seq2[Event[T], error], fn func(Event[T]) (R, error)) iter.Seq2[Event[R], error] {
	return func(yield func(Event[R], error) bool) {
		for e, err := range events {
			var payload R
			if err == nil {
				payload, err = fn(e)
			}
			if !yield(withPayload(e, payload), err) {
				return
			}
		}
	}
}
