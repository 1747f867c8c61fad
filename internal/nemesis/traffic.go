package nemesis

import (
	"context"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// most is how many events of a publisher may be under way: well within every bound, so
// that a machine that is too slow for what was planned loses nothing by that.
const most = 4000

// Traffic dispatches an event each so often, until ctx ends or so many were: what the
// ticker was late for goes at once. It waits for listeners that are too far behind.
func (p *Publisher) Traffic(ctx context.Context, events int, to eventtarget.Target, topic eventtarget.Topic, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	begin := time.Now()
	for n := 0; n < events; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for until := min(events, int(time.Since(begin)/every), p.reached()+most); n < until && ctx.Err() == nil; n++ {
			if err := p.Dispatch(context.Background(), to, topic); err != nil {
				return err
			}
		}
	}
	return nil
}

// reached returns the number up to which every listener has heard something.
func (p *Publisher) reached() int {
	p.history.mu.Lock()
	defer p.history.mu.Unlock()
	all := len(p.outcomes)
	for _, l := range p.history.listeners {
		if slices.Contains(l.from, p) {
			all = min(all, l.reached[p.name])
		}
	}
	return all
}
