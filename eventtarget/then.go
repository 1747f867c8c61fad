package eventtarget

import "context"

// DeliverThen is Deliver that calls done when the event is behind it: when every listener
// that was to hear it has returned, or has dropped it, as its policy says, or was removed.
// What Close discards is never behind it. For adapters that confirm what they have
// delivered. done is called once, on any goroutine, perhaps before DeliverThen returns; it
// must be quick and call nothing of the registry's. With an error of ctx's, [ErrClosed] or
// [ErrInvalidTopic] it is not called.
func (r *Registry[T]) DeliverThen(ctx context.Context, e Event[T], done func()) error {
	if err := r.CheckDispatch(ctx, e.Topic()); err != nil {
		return err
	}
	m := r.merged(e.Topic())
	if m.lists == [3]*list[T]{} {
		if err := r.CheckDispatch(ctx, e.Topic()); err != nil { // closed meanwhile
			return err
		}
		done()
		return nil
	}
	p := pass[T]{shares: true}
	p.cell(r, &e).done = done
	return r.walk(ctx, m, e, p)
}
