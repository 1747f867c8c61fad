package load

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// run is a measurement that is under way.
type run struct {
	Options
	id         string    // its events', so that other traffic does not count
	epoch      time.Time // what the times in payloads count from
	pad        string
	dispatched atomic.Uint64
	listeners  []*listener
	news       chan struct{} // holds something when a listener has come further
}

// notifyEvery is how many events a listener hears before it tells whoever awaits it.
const notifyEvery = 32

type listener struct {
	run  *run
	warm atomic.Bool   // it has heard something
	next atomic.Uint64 // what is to come

	mu        sync.Mutex
	heard     uint64
	missing   uint64
	misplaced uint64
	latency   Histogram
}

func (l *listener) hear(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
	n, at, ok := parse(e.Payload)
	if !ok {
		return // it is not ours
	}
	if n < 0 {
		l.warm.Store(true)
		return
	}
	took := time.Since(l.run.epoch) - at
	l.mu.Lock()
	l.heard++
	l.latency.Add(took)
	next := l.next.Load()
	if uint64(n) < next {
		l.misplaced++
		l.mu.Unlock()
		return
	}
	l.missing += uint64(n) - next
	l.next.Store(uint64(n) + 1)
	l.mu.Unlock()
	if n%notifyEvery == 0 {
		select {
		case l.run.news <- struct{}{}:
		default:
		}
	}
}

// parse reads what run.event wrote.
func parse(payload []byte) (n int64, at time.Duration, ok bool) {
	rest, found := bytes.CutPrefix(payload, []byte("["))
	number, rest, more := bytes.Cut(rest, []byte(","))
	when, _, most := bytes.Cut(rest, []byte(","))
	n, err := strconv.ParseInt(string(number), 10, 64)
	ns, failed := strconv.ParseInt(string(when), 10, 64)
	return n, time.Duration(ns), found && more && most && err == nil && failed == nil
}

func (r *run) all(is func(*listener) bool) bool {
	for _, l := range r.listeners {
		if !is(l) {
			return false
		}
	}
	return true
}

// heard is how far the listeners have come, all together.
func (r *run) heard() (n uint64) {
	for _, l := range r.listeners {
		n += l.next.Load()
	}
	return n
}

// seen adds up what there is so far.
func (r *run) seen() Result {
	result := Result{Dispatched: r.dispatched.Load()}
	for _, l := range r.listeners {
		l.mu.Lock()
		result.Heard += l.heard
		result.Missing += l.missing
		result.Misplaced += l.misplaced
		result.Latency.Merge(&l.latency)
		l.mu.Unlock()
	}
	return result
}
