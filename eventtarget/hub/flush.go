package hub

import (
	"context"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// Outcome is what became of what waited for a spoke.
type Outcome uint8

const (
	// Pending: ctx ended first.
	Pending Outcome = iota
	// Out: it was handed to the operating system.
	Out
	// Dropped: a part of it was dropped by the spoke's policy, the rest is out.
	Dropped
	// Gone: the spoke left before it was out.
	Gone
)

// String returns the outcome in a word.
func (o Outcome) String() string {
	return [...]string{"pending", "out", "dropped", "gone"}[o]
}

// Flushed is what a [Hub.Flush] tells of a spoke.
type Flushed struct {
	Spoke   *Spoke
	Outcome Outcome
	Lost    uint64 // how many events were dropped meanwhile
}

// Flush waits until what was dispatched before is out, or lost, at each spoke, and
// tells spoke by spoke. The error is ctx's cause if ctx ended first. Inside an
// Inline listener, which may stand on a reader, it returns [eventtarget.ErrWouldBlock].
func (h *Hub) Flush(ctx context.Context) ([]Flushed, error) {
	if eventtarget.CallerOf(ctx) == eventtarget.InlineListener {
		return nil, h.fail("flush", eventtarget.Topic{}, eventtarget.ErrWouldBlock)
	}
	var mu sync.Mutex // all's
	var all []Flushed
	for s := range h.Spokes() {
		all = append(all, Flushed{Spoke: s})
	}
	var waiting sync.WaitGroup
	waiting.Add(len(all))
	h.log.Update(func(u framelog.Update) {
		for n := range all {
			s := all[n].Spoke
			before := s.inbox.losses()
			mark := func(lost uint64) {
				defer waiting.Done()
				mu.Lock()
				defer mu.Unlock()
				all[n].Lost = lost - before
				switch {
				case s.isEnding():
					all[n].Outcome = Gone
				case lost > before:
					all[n].Outcome = Dropped
				default:
					all[n].Outcome = Out
				}
			}
			if s.behind(u, &step{kind: doMark, mark: mark}) != nil {
				mu.Lock()
				all[n].Outcome = Gone
				mu.Unlock()
				waiting.Done()
			}
			s.shard.mark(s)
		}
	})
	done := make(chan struct{})
	go func() { waiting.Wait(); close(done) }()
	select {
	case <-done:
		return all, nil
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	return append([]Flushed(nil), all...), h.fail("flush", eventtarget.Topic{}, context.Cause(ctx))
}
