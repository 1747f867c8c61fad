package eventtarget

import (
	"context"
	"math"
)

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
	holds    int         // Inline: lists that a Deliver may be inside; under registry.mu
	box      *mailbox[T] // nil if Inline
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

// defaultBatch is how many events a worker claims at once where nobody said how long the queue
// is to be, so that it need not be that to the event. A claim is a third of what an event costs.
const defaultBatch = 16

func newListener[T any](ctx context.Context, r *Registry[T], topic Topic, l Listener[T]) *listener[T] {
	n := &listener[T]{registry: r, handle: l.Handle, inline: l.Inline, once: l.Once}
	n.topic, n.owner, n.done = topic, n, make(chan struct{})
	if !l.Inline {
		n.box = &mailbox[T]{policy: l.Overflow, limit: l.Queue, most: math.MaxInt, batch: 1}
		if l.Queue == 0 {
			n.box.limit, n.box.most, n.box.batch = DefaultQueue-(defaultBatch-1), DefaultQueueBytes, defaultBatch
		}
		n.box.bound = n.box.limit
	}
	n.scope.listener = n
	n.scope.Context, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return n
}

// pass is what a Deliver learns on its way through the queues.
type pass struct {
	refused  bool  // by a listener that ended meanwhile
	overflow int   // how many queues dropped their first event since they were empty
	err      error // the first
	then     *then // nil: nobody waits for the event
}

// enqueue brings e to the queued listeners of a list.
func (r *Registry[T]) enqueue(ctx context.Context, l *list[T], e *Event[T], p *pass) {
	var stored span[T]
	feed := l.sel().feed
	feed.mu.Lock()
	for _, entry := range l.entries() {
		if entry.handle != nil { // Inline
			continue
		}
		n := entry.listener
		if n.box.room > 0 && p.then == nil {
			if stored.chunk == nil {
				stored = feed.log.append(r, e)
			}
			if n.box.extend(&stored) {
				n.box.room--
				continue
			}
		}
		what := n.box.offer(n, e, &stored, p.then)
		for ; what == noRoom; what = n.box.offer(n, e, &stored, p.then) {
			if by := ctx.Value(carrierKey{}); by != nil && by == n.scope.Value(carrierKey{}) {
				break // a bridge would drop what it has brought itself
			}
			feed.mu.Unlock()
			err := ErrWouldBlock
			if CallerOf(ctx) == NotListener {
				err = n.box.awaitRoom(ctx)
			}
			feed.mu.Lock()
			stored = span[T]{} // the log has gone on
			if err != nil {
				n.dropped.Add(1)
				p.fail(r.wrap("dispatch", e.Topic(), err))
				break
			}
		}
		switch what {
		case refused:
			p.refused = true
		case droppedFirst:
			p.overflow++
		}
	}
	feed.mu.Unlock()
}

func (p *pass) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// outcome reports what the queues dropped and tells how it went.
func (r *Registry[T]) outcome(p *pass, e *Event[T]) error {
	for range p.overflow {
		r.ReportFault(Fault{Kind: FaultOverflow, Topic: e.Topic(), Count: 1, Err: ErrOverflow})
	}
	if p.refused && p.err == nil {
		return r.checkRefused(e.Topic())
	}
	return p.err
}

// callOnce handles the one event of an Inline listener with Once. Its Done waits
// for the Deliver that we are in.
func (l *listener[T]) callOnce(ctx context.Context, e Event[T]) {
	if !l.removed.CompareAndSwap(false, true) {
		return
	}
	defer l.cancel()
	l.registry.unlink(l)
	l.handle(ctx, e)
}

// drainHand handles what waits, up to one hand of it, and tells whether there is
// more to come back for.
func (l *listener[T]) drainHand() (again bool) {
	r := l.registry
	l.settle() // what was discarded, or is behind a listener that ended its goroutine
	more, ended := l.box.refill(r)
	if !more {
		if ended {
			l.settle() // what was discarded since
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
	var e *Event[T]
	defer func() {
		if e != nil {
			l.registry.caught(l, recover(), peerID(e.Source))
			again = true
		}
	}()
	for e = l.next(); e != nil; e = l.next() {
		switch {
		case l.once:
			l.handleOnce(*e)
		case !l.removed.Load():
			l.handle(&l.scope, *e)
		default:
			l.registry.skip()
		}
	}
	return false
}

// next returns the next event of the worker's hand, and tells those who wait for the ones
// before.
func (l *listener[T]) next() *Event[T] {
	l.settle()
	return l.box.next()
}

func (l *listener[T]) settle() {
	if l.box.watched.Load() {
		l.box.settle(l.registry)
	}
}

func (l *listener[T]) handleOnce(e Event[T]) {
	if l.removed.CompareAndSwap(false, true) {
		defer l.registry.retire(l)
		l.registry.unlink(l)
		l.handle(&l.scope, e)
	} else {
		l.registry.skip()
	}
}

// retire ends a queued listener whose only event was handled.
func (r *Registry[T]) retire(l *listener[T]) {
	l.cancel()
	l.box.close(r)
}
