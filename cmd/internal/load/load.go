// Package load measures what a target carries: one end dispatches, others listen.
package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

const (
	eventType = "eventtarget.bench"
	// window is how many events may be under way where no rate is given: few enough for
	// every queue on the way.
	window = 2048
	// MinSize is the size of the smallest payload, in bytes.
	MinSize = 48
)

// Options says what is measured. All fields but Rate and Progress are required.
type Options struct {
	Dispatcher eventtarget.Target
	Listeners  []eventtarget.Target // on which what the dispatcher dispatches is heard
	Size       int                  // of a payload, in bytes: at least MinSize
	// Rate is how many events are dispatched in a second. Each is then due at a time of
	// its own, and its latency counts from there, whether it was dispatched late or
	// not. 0: as many as are heard, with 2048 under way.
	Rate float64
	Time time.Duration // how long events are dispatched
	// Wait is how long nothing may be heard while something is missing.
	Wait time.Duration
	// Progress is called each second with what was seen in it.
	Progress func(Result)
}

// Result is what was seen.
type Result struct {
	Took       time.Duration // how long events were dispatched
	Dispatched uint64
	Heard      uint64 // by all listeners together
	// Missing is what was not heard though later events were or, at the end, not at all.
	Missing uint64
	// Misplaced is what was heard a second time, or after a later event.
	Misplaced uint64
	Latency   Histogram // from Dispatch, or when that was due, to a listener
}

// errSilent is when a listener hears nothing from the beginning.
var errSilent = errors.New("not every listener hears what is dispatched; a hub has to relay")

// Run measures until Time is over or ctx ends, and waits for what is under way.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Size < MinSize {
		return Result{}, fmt.Errorf("payloads of %d bytes are too small: at least %d", o.Size, MinSize)
	}
	r := &run{Options: o, id: rand.Text(), epoch: time.Now(), news: make(chan struct{}, 1), pad: strings.Repeat("x", o.Size)}
	for _, target := range o.Listeners {
		l := &listener{run: r}
		r.listeners = append(r.listeners, l)
		reg, err := target.Add(ctx, eventtarget.T(eventType, r.id), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: l.hear})
		if err != nil {
			return Result{}, err
		}
		defer target.Remove(reg)
	}
	if err := r.warmUp(ctx); err != nil {
		return Result{}, err
	}
	stop := make(chan struct{})
	var reporting sync.WaitGroup
	if o.Progress != nil {
		reporting.Go(func() { r.report(stop) })
	}
	begin := time.Now()
	err := r.dispatch(ctx)
	took := time.Since(begin)
	if err == nil {
		r.await(context.WithoutCancel(ctx), r.dispatched.Load())
	}
	close(stop)
	reporting.Wait()
	result := r.seen()
	result.Took = took
	for _, l := range r.listeners {
		if next := l.next.Load(); next < result.Dispatched {
			result.Missing += result.Dispatched - next
		}
	}
	return result, err
}

// warmUp dispatches until every listener has heard something: a plain peer is not told
// when it is listened to.
func (r *run) warmUp(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(r.Wait)
	defer late.Stop()
	for !r.all(func(l *listener) bool { return l.warm.Load() }) {
		if err := r.Dispatcher.Dispatch(ctx, r.event(-1, 0)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-late.C:
			return errSilent
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// dispatch dispatches events for the time of the run. The end of ctx is no error.
func (r *run) dispatch(ctx context.Context) error {
	begin := time.Now()
	for n := int64(0); ctx.Err() == nil; n++ {
		due := time.Now()
		if r.Rate > 0 {
			due = begin.Add(time.Duration(float64(n) / r.Rate * float64(time.Second)))
			pause(ctx, time.Until(due))
		} else if n >= window && !r.await(ctx, uint64(n-window+1)) {
			return nil // what is missing then is counted
		}
		if due.Sub(begin) >= r.Time {
			break
		}
		switch err := r.Dispatcher.Dispatch(ctx, r.event(n, due.Sub(r.epoch))); {
		case err == nil:
			r.dispatched.Add(1)
		case ctx.Err() == nil:
			return fmt.Errorf("event %d: %w", n, err)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// await waits until every listener has come to event n. It is false if for Wait none
// has come further, or ctx ended.
func (r *run) await(ctx context.Context, n uint64) bool {
	there := func(l *listener) bool { return l.next.Load() >= n }
	if r.all(there) {
		return true
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	come, last := uint64(0), time.Now()
	for !r.all(there) {
		select {
		case <-r.news:
		case now := <-tick.C:
			heard := r.heard()
			if heard != come {
				come, last = heard, now
			}
			if now.Sub(last) > r.Wait {
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// event is one whose payload is [n,at,"xxx…"], of the size that is asked for.
func (r *run) event(n int64, at time.Duration) eventtarget.Event[eventtarget.Raw] {
	b := make([]byte, 0, r.Size)
	b = append(strconv.AppendInt(append(b, '['), n, 10), ',')
	b = append(strconv.AppendInt(b, int64(at), 10), `,"`...)
	b = append(append(b, r.pad[:r.Size-len(b)-2]...), `"]`...)
	return eventtarget.Event[eventtarget.Raw]{Type: eventType, ID: r.id, Payload: b}
}

// report calls Progress until stop is closed.
func (r *run) report(stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before := Result{}
	for last := time.Now(); ; {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			seen := r.seen()
			r.Progress(Result{
				Took: now.Sub(last), Dispatched: seen.Dispatched - before.Dispatched, Heard: seen.Heard - before.Heard,
				Missing: seen.Missing - before.Missing, Misplaced: seen.Misplaced - before.Misplaced, Latency: *seen.Latency.Since(&before.Latency),
			})
			before, last = seen, now
		}
	}
}
