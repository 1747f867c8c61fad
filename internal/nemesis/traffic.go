package nemesis

import (
	"context"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Traffic dispatches an event each so often until ctx ends: what the ticker was late for
// goes at once.
func (p *Publisher) Traffic(ctx context.Context, to eventtarget.Target, topic eventtarget.Topic, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	begin := time.Now()
	for n := 0; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		for ; n < int(time.Since(begin)/every) && ctx.Err() == nil; n++ {
			if err := p.Dispatch(context.Background(), to, topic); err != nil {
				return err
			}
		}
	}
}
