package eventtarget

import "context"

// listener is a [Listener] that was added.
type listener[T any] struct {
	Registration
	registry *Registry[T]
	sel      *selector[T]
	seq      uint64 // order of Add
	handle   func(context.Context, Event[T])
	scope    scope[T]
	cancel   context.CancelFunc
	inline   bool
	once     bool
	holds    int        // Inline: lists that a Deliver may be inside; under registry.mu
	box      mailbox[T] // queued
}

// scope is the context that a listener is called with. It is a type of its own so
// that an entry holds one word of it.
type scope[T any] struct {
	context.Context
	listener *listener[T]
}

// Value returns the values of Add's context, and answers [CallerOf].
func (s *scope[T]) Value(key any) any {
	if key != (callerKey{}) {
		return s.Context.Value(key)
	}
	if s.listener.inline {
		return InlineListener
	}
	return QueuedListener
}

func newListener[T any](ctx context.Context, r *Registry[T], topic Topic, l Listener[T]) *listener[T] {
	n := &listener[T]{registry: r, handle: l.Handle, inline: l.Inline, once: l.Once}
	n.topic, n.owner, n.done = topic, n, make(chan struct{})
	n.box.policy = l.Overflow
	n.box.limit = l.Queue
	if l.Queue == 0 {
		n.box.limit = DefaultQueue
	}
	n.scope.listener = n
	n.scope.Context, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return n
}

// take brings e to a listener that is not simply called: one that is queued, or
// Inline and Once.
func (l *listener[T]) take(ctx context.Context, e *Event[T], p *pass[T]) {
	if l.inline {
		l.callOnce(*e)
		return
	}
	r := l.registry
	var c *cell[T] // nil: the mailbox's own
	if p.shares {
		c = p.cell(r, e)
	}
	for {
		what := l.box.offer(l, c, e)
		switch what {
		case acceptedIdle:
			r.workers.push(l)
			p.handed++
		case accepted:
			p.handed++
		case refused:
			p.refused = true
		case dropped, droppedFirst:
			if l.box.policy == DropOldest {
				p.handed++
			}
			if what == droppedFirst {
				r.ReportFault(Fault{Kind: FaultOverflow, Topic: e.Topic(), Count: 1, Err: ErrOverflow})
			}
		case full:
			err := ErrWouldBlock
			if CallerOf(ctx) == NotListener {
				err = l.box.awaitRoom(ctx)
			}
			if err == nil {
				continue
			}
			l.dropped.Add(1)
			p.fail(r.wrap("dispatch", e.Topic(), err))
		}
		return
	}
}

// callOnce handles the one event of an Inline listener with Once. Its Done waits
// for the Deliver that we are in.
func (l *listener[T]) callOnce(e Event[T]) {
	if !l.removed.CompareAndSwap(false, true) {
		return
	}
	defer l.cancel()
	l.registry.unlink(l)
	l.handle(&l.scope, e)
}

// drainHand handles what waits, up to one hand of it, and tells whether there is
// more to come back for.
func (l *listener[T]) drainHand() (again bool) {
	r := l.registry
	more, ended := l.box.refill()
	if !more {
		if ended {
			r.end(l)
			r.finish(l)
		}
		return false
	}
	for l.handleHand() {
	}
	return true
}

// handleHand handles the events of the worker's hand. It is true when a listener
// panicked on the way, and there may be more. One deferred call serves them all.
func (l *listener[T]) handleHand() (again bool) {
	r := l.registry
	var c *cell[T]
	defer func() {
		if c != nil {
			r.caught(l, recover(), peerID(c.event.Source))
			r.release(c, 1)
			again = true
		}
	}()
	for c = l.box.claim(); c != nil; c = l.box.claim() {
		l.box.madeRoom()
		switch {
		case l.once:
			l.handleOnce(c)
		case !l.removed.Load():
			l.handle(&l.scope, c.event)
		}
		r.release(c, 1)
	}
	return false
}

func (l *listener[T]) handleOnce(c *cell[T]) {
	if l.removed.CompareAndSwap(false, true) {
		defer l.registry.retire(l)
		l.registry.unlink(l)
		l.handle(&l.scope, c.event)
	}
}

// retire ends a queued listener whose only event was handled.
func (r *Registry[T]) retire(l *listener[T]) {
	l.cancel()
	l.box.close(r)
}
