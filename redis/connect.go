package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// The pause before another attempt to connect doubles from the first to the last,
// with jitter. There is none after a connection that was healthy for so long.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 200 * time.Millisecond
	healthy    = time.Second
)

// run connects, listens until the connection ends, and begins again.
func (t *Target) run() {
	client, err := rueidis.NewClient(t.server) // there is one whether it could connect or not
	if client == nil {
		t.end(fmt.Errorf("%w: %w", eventtarget.ErrClosed, err))
		return
	}
	defer client.Close()
	t.publisher.client = client
	close(t.ready)
	var from source = &pubSub{target: t}
	if t.opts.Durable {
		from = &logReader{target: t}
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		began := time.Now()
		err := from.listen(client)
		if t.receiving.Err() != nil {
			return
		}
		wasUp := t.down(err)
		switch {
		case wasUp:
			t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Err: err})
			pause = firstPause
			if time.Since(began) >= healthy {
				continue
			}
		case errors.Is(err, eventtarget.ErrForbidden) && t.State() == eventtarget.StateConnecting:
			t.end(fmt.Errorf("%w: %w", eventtarget.ErrClosed, err))
			return
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-t.receiving.Done():
			timer.Stop()
			return
		}
	}
}

// up notes that everything that was wanted is being heard.
func (t *Target) up() {
	if t.change(eventtarget.StateUp, nil) == eventtarget.StateDown {
		t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultReconnected})
	}
}

// down notes why there is no connection, and tells whether there was one.
func (t *Target) down(cause error) (wasUp bool) {
	to := eventtarget.StateDown
	if t.State() == eventtarget.StateConnecting {
		to = eventtarget.StateConnecting
	}
	return t.change(to, cause) == eventtarget.StateUp
}

// change sets the state and its cause, unless the target is closed, and returns the
// state before.
func (t *Target) change(to eventtarget.State, cause error) (before eventtarget.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before = t.state
	if before != eventtarget.StateClosed {
		t.state, t.cause = to, cause
		close(t.changed)
		t.changed = make(chan struct{})
	}
	return before
}

// State tells how the target stands.
func (t *Target) State() eventtarget.State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// Ready waits until the target is connected and hears what its listeners want. It
// returns the cause if the target was closed, and if ctx ends first ctx's cause with
// the reason why there is no connection.
func (t *Target) Ready(ctx context.Context) error {
	for {
		t.mu.Lock()
		state, changed, cause := t.state, t.changed, t.cause
		t.mu.Unlock()
		switch state {
		case eventtarget.StateUp:
			return nil
		case eventtarget.StateClosed:
			return fail("ready", eventtarget.Topic{}, cause)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			err := context.Cause(ctx)
			if cause != nil {
				err = fmt.Errorf("%w (%w)", err, cause)
			}
			return fail("ready", eventtarget.Topic{}, err)
		}
	}
}
