package hub

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// Outcome is what became of what waited for a spoke.
type Outcome uint8

const (
	// Pending: ctx ended first.
	Pending Outcome = iota
	// Out: it was handed to the operating system; in a session, the other end has acknowledged it,
	// or has said, when it came back, that it has received it.
	Out
	// Dropped: a part of it was dropped by the spoke's policy, the rest is out.
	Dropped
	// Gone: the spoke left before it was out.
	Gone
)

// String returns the outcome in a word.
func (o Outcome) String() string {
	names := [...]string{"pending", "out", "dropped", "gone"}
	if int(o) >= len(names) {
		return fmt.Sprintf("outcome(%d)", uint8(o))
	}
	return names[o]
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
	f := &flush{done: make(chan struct{})}
	for s := range h.Spokes() {
		f.all = append(f.all, Flushed{Spoke: s})
	}
	if f.waiting = len(f.all); f.waiting == 0 {
		return nil, nil
	}
	h.log.Update(func(u framelog.Update) {
		for n := range f.all {
			s := f.all[n].Spoke
			before := s.inbox.losses()
			mark := func(lost uint64) {
				switch lost -= before; {
				case s.ending.Load():
					f.answer(n, Gone, lost)
				case lost > 0:
					f.answer(n, Dropped, lost)
				default:
					f.answer(n, Out, 0)
				}
			}
			if s.behind(u, &step{kind: doMark, mark: mark}) != nil {
				f.answer(n, Gone, 0)
			}
			s.shard.mark(s)
		}
	})
	select {
	case <-f.done:
		return f.all, nil
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all), h.fail("flush", eventtarget.Topic{}, context.Cause(ctx))
}

// flush gathers what the spokes answer, which may be long after who asked has gone.
type flush struct {
	done chan struct{} // closed by the last answer

	mu      sync.Mutex
	all     []Flushed
	waiting int
}

func (f *flush) answer(n int, outcome Outcome, lost uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[n].Outcome, f.all[n].Lost = outcome, lost
	if f.waiting--; f.waiting == 0 {
		close(f.done)
	}
}
