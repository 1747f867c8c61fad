package eventtarget

import (
	"context"
	"testing"
)

// ClaimTogether has the queued listener of a registration take up to n events together, as one
// with a default queue does.
func ClaimTogether[T any](r *Registration, n int) { r.owner.(*listener[T]).box.batch = n }

// stuck returns the mailbox of a listener that no worker comes to.
func stuck(t *testing.T, r *Registry[int], l Listener[int]) *mailbox[int] {
	reg, err := r.Add(t.Context(), T("a", ""), l)
	if err != nil {
		t.Fatal(err)
	}
	box := reg.owner.(*listener[int]).box
	box.feed.mu.Lock()
	defer box.feed.mu.Unlock()
	box.active = true
	box.feed.active++
	return box
}

// TestMailboxTakes: a mailbox takes nothing that its listener will not hear, and what a listener
// that drops events is yet to hear is not stored where others would keep it.
func TestMailboxTakes(t *testing.T) {
	const events = 20
	handle := Func(func(context.Context, Event[int]) {}).Handle
	for name, c := range map[string]struct {
		listener      Listener[int]
		waits, stored int // for all, that is
		then          int // stored, behind two more for which there was room
	}{
		"all":         {Listener[int]{Handle: handle, Queue: 2 * events}, events, events, events + 2},
		"once":        {Listener[int]{Handle: handle, Once: true}, 1, 1, 1},
		"drop newest": {Listener[int]{Handle: handle, Queue: 3}, 3, 3, 3},
		"drop oldest": {Listener[int]{Handle: handle, Queue: 3, Overflow: DropOldest}, 3, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRegistry[int](RegistryOptions{OnFault: func(Fault) {}})
			box := stuck(t, r, c.listener)
			deliver := func(n int) {
				for range n {
					_ = r.Deliver(t.Context(), Event[int]{Type: "a"}) // may be dropped
				}
			}
			expect := func(waits, stored int) {
				t.Helper()
				box.feed.mu.Lock()
				defer box.feed.mu.Unlock()
				tail := box.feed.log.tail
				all := tail.used
				for _, size := range chunkSizes[:sizeClass(tail)] {
					all += size
				}
				if box.pending() != waits || all != stored {
					t.Errorf("%d wait, %d are stored for all; not %d and %d", box.pending(), all, waits, stored)
				}
			}
			deliver(events)
			expect(c.waits, c.stored)
			for range min(2, c.waits-1) { // as a worker does
				if box.next() == nil {
					box.refill(r)
					box.next()
				}
			}
			deliver(2)
			expect(c.waits, c.then)
			box.close(r)
			deliver(1)
			expect(0, c.then)
		})
	}
}
