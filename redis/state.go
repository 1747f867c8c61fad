package redis

import (
	"context"
	"fmt"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// change sets the state and its cause, unless the target is closed, and returns the
// state before.
func (t *Target) change(to eventtarget.State, cause error) (before eventtarget.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before = t.state
	t.set(to, cause)
	return before
}

// set is change, under mu.
func (t *Target) set(to eventtarget.State, cause error) {
	if t.state != eventtarget.StateClosed {
		t.state, t.cause = to, cause
		close(t.changed)
		t.changed = make(chan struct{})
	}
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
			return fail("ready", eventtarget.Topic{}, t.because(context.Cause(ctx)))
		}
	}
}

// because returns err with the reason why there is no connection, if there is one.
func (t *Target) because(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cause != nil {
		err = fmt.Errorf("%w (%w)", err, t.cause)
	}
	return err
}
