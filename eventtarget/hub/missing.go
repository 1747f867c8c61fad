package hub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// missing is what the bus did not get, and the other hubs do not know of yet.
type missing struct {
	mu    sync.Mutex
	count uint64
	vague bool                // of some it is not known whether the bus got them
	types map[string]struct{} // nil while count is not 0: too many to tell

	notices uint64  // how many there were
	unsure  *notice // the last one, if the bus does not say whether it took it
}

// maxMissing bounds the types that one notice names.
const maxMissing = 64

// add counts one, and tells whether it is the first.
func (x *missing) add(eventType string, perhaps bool) (first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.vague = x.vague || perhaps
	if first = x.count == 0; first {
		x.types = make(map[string]struct{})
	}
	x.count++
	if x.types != nil {
		x.types[eventType] = struct{}{}
		if len(x.types) > maxMissing {
			x.types = nil
		}
	}
	return first
}

func (x *missing) any() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count > 0 || x.unsure != nil
}

// take returns a notice of what there is; nil: there is nothing. It is to be settled.
func (x *missing) take() *notice {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.unsure != nil:
		return x.unsure
	case x.count == 0:
		return nil
	}
	x.notices++
	n := &notice{Kind: noticeLost, Number: x.notices, missed: x.count, Types: slices.Sorted(maps.Keys(x.types))}
	if !x.vague {
		n.Count = x.count
	}
	x.count, x.vague, x.types = 0, false, nil
	return n
}

// settle says what came of telling. What the others may know already is told again as it
// was, under its number; what they do not know, with what is missing by then.
func (x *missing) settle(n *notice, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case err == nil:
		x.unsure = nil
		return
	case x.unsure == n || errors.Is(err, eventtarget.ErrUnknownOutcome):
		x.unsure = n
		return
	}
	all := len(n.Types) == 0 || x.count > 0 && x.types == nil
	x.count += n.missed
	x.vague = x.vague || n.Count == 0
	if all {
		x.types = nil
		return
	}
	if x.types == nil {
		x.types = make(map[string]struct{})
	}
	for _, t := range n.Types {
		x.types[t] = struct{}{}
	}
}

// tellMissing tells the other hubs what they have missed, if anything, and waits for that,
// no longer than Patience.
func (m *Membership) tellMissing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.opts.Patience)
	defer cancel()
	select {
	case m.telling <- struct{}{}:
		defer func() { <-m.telling }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		n := m.missing.take()
		if n == nil {
			return nil
		}
		err := m.send(ctx, "", *n)
		m.missing.settle(n, err)
		if err != nil {
			return err
		}
	}
}
