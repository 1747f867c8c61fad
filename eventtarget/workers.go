package eventtarget

import (
	"slices"
	"sync"
)

// workers runs the mailboxes that have something in them, on goroutines that
// exist only while there is something to run.
//
// A goroutine for each busy mailbox would cost a start per event when many
// listeners hear a topic. Here one worker goes from mailbox to mailbox, and
// whenever it begins a visit, which may block for as long as a listener likes, it
// sees to it that another one is looking for work if there is any left. So a
// blocked listener never holds up another, and as long as none blocks there are
// no more workers than processors to run them.
type workers[T any] struct {
	mu      sync.Mutex
	ready   []*listener[T]
	head    int // of ready
	running int
	looking int           // running, and not on a visit
	quiet   chan struct{} // closed when the last one ends; nil while nobody waits for that
	work    func()        // w.run, bound once: starting a goroutine allocates nothing
	onIdle  func()
}

func (w *workers[T]) init(onIdle func()) {
	w.work = w.run
	w.onIdle = onIdle
}

// push asks for a visit to l.
func (w *workers[T]) push(l *listener[T]) {
	w.mu.Lock()
	w.await(l)
	start := w.needLooker()
	w.mu.Unlock()
	if start {
		go w.work()
	}
}

// await puts l behind those that wait for a visit. Under mu.
func (w *workers[T]) await(l *listener[T]) {
	if w.head > len(w.ready)/2 && len(w.ready) == cap(w.ready) { // it may never be empty
		w.ready, w.head = slices.Delete(w.ready, 0, w.head), 0
	}
	w.ready = append(w.ready, l)
}

// needLooker reserves a worker if nobody is looking for work. Under mu.
func (w *workers[T]) needLooker() bool {
	if w.looking > 0 {
		return false
	}
	w.looking++
	w.running++
	return true
}

// run is a worker: it looks for work until there is none.
func (w *workers[T]) run() {
	for l := w.next(); l != nil; l = w.next() {
		w.visit(l)
	}
	w.onIdle()
}

// next ends the search for work: with a listener to visit, or with nil, and then
// the worker no longer counts.
func (w *workers[T]) next() *listener[T] {
	w.mu.Lock()
	w.looking--
	if w.head == len(w.ready) {
		w.running--
		w.ready, w.head = w.ready[:0], 0
		if w.running == 0 && w.quiet != nil {
			close(w.quiet)
			w.quiet = nil
		}
		w.mu.Unlock()
		return nil
	}
	l := w.ready[w.head]
	w.ready[w.head] = nil
	w.head++
	if w.head == len(w.ready) {
		w.ready, w.head = w.ready[:0], 0
	}
	start := w.head < len(w.ready) && w.needLooker()
	w.mu.Unlock()
	if start {
		go w.work()
	}
	return l
}

// visit lets l handle what waits for it, and comes back for more later. A
// listener that ends its goroutine ends this worker: another takes its place.
func (w *workers[T]) visit(l *listener[T]) {
	again, unwound := true, true
	defer func() {
		w.mu.Lock()
		w.looking++
		if again {
			w.await(l)
		}
		w.mu.Unlock()
		if unwound {
			go w.work()
		}
	}()
	again, unwound = l.drainHand(), false
}

func (w *workers[T]) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running == 0
}

// idling returns a channel that is closed once there is nothing to run.
func (w *workers[T]) idling() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.quiet != nil {
		return w.quiet
	}
	quiet := make(chan struct{})
	if w.running == 0 {
		close(quiet)
	} else {
		w.quiet = quiet
	}
	return quiet
}
