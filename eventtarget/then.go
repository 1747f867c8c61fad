package eventtarget

import (
	"context"
	"slices"
	"sync/atomic"
)

// DeliverThen is Deliver that calls done when the event is behind it: when every listener
// that was to hear it, and has heard what came before, has returned, or has dropped it, as
// its policy says, or was removed. What Close discards is never behind it. For adapters
// that confirm what they have delivered. done is called once, on any goroutine, perhaps
// before DeliverThen returns; it must be quick and call nothing of the registry's. With an
// error of ctx's, [ErrClosed] or [ErrInvalidTopic] it is not called.
func (r *Registry[T]) DeliverThen(ctx context.Context, e Event[T], done func()) (err error) {
	if err := r.CheckDispatch(ctx, e.Topic()); err != nil {
		return err
	}
	then := &then{done: done}
	then.left.Store(1) // ours
	// Deferred, because an Inline listener may end the goroutine.
	defer func() {
		if r.Closed() {
			err = r.checkRefused(e.Topic())
		} else {
			r.behind(then)
		}
	}()
	return r.deliverAll(ctx, &e, then)
}

// then is who waits until an event is behind the listeners.
type then struct {
	left atomic.Int32 // how many of them have not finished with it
	done func()
}

// behind tells that one listener has finished with an event.
func (r *Registry[T]) behind(t *then) {
	if t.left.Add(-1) == 0 && !r.discards.Load() {
		t.done()
	}
}

// awaited is an event of a mailbox that somebody waits for.
type awaited struct {
	number int // of the event among all that the mailbox has had
	then   *then
}

// await notes that somebody waits for the event that was put last. Under the lock.
func (m *mailbox[T]) await(t *then) {
	t.left.Add(1)
	m.awaited = append(m.awaited, awaited{m.taken + m.waits(), t})
	m.watched.Store(true)
}

// dropped tells who waits for an event that made room for another one: the listener may be
// at the one before it for long. Under the lock.
func (m *mailbox[T]) dropped(r *Registry[T], number int) {
	i, found := slices.BinarySearchFunc(m.awaited, number, func(a awaited, n int) int { return a.number - n })
	if found {
		then := m.awaited[i].then
		m.awaited = slices.Delete(m.awaited, i, i+1)
		r.behind(then)
	}
}

// settle tells those who wait for events that are finished with: all that are out of the
// mailbox and of the worker's hand. The worker calls it between two events.
func (m *mailbox[T]) settle(r *Registry[T]) {
	m.feed.mu.Lock()
	finished := m.finished()
	n := 0
	for n < len(m.awaited) && m.awaited[n].number <= finished {
		n++
	}
	behind := slices.Clone(m.awaited[:n])
	m.awaited = slices.Delete(m.awaited, 0, n)
	m.watched.Store(len(m.awaited) > 0)
	m.feed.mu.Unlock()
	for _, a := range behind {
		r.behind(a.then)
	}
}
