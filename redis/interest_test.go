package redis

import (
	"errors"
	"testing"
	"testing/synctest"
)

// TestCountsBeforeTold: who waits for a subscription is told of it when what comes counts,
// also where the last one that was missing is refused.
func TestCountsBeforeTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInterest("all")
		added := make(chan error, 2)
		go func() { added <- in.add(t.Context(), "one") }()
		synctest.Wait()
		go func() { added <- in.add(t.Context(), "refused") }()
		synctest.Wait()
		begun := 0
		in.connected(func() {
			begun++
			if in.mu.TryLock() {
				t.Error("whoever waits may have been told before")
				in.mu.Unlock()
			}
		})
		if asked := in.next(); len(asked.names) != 2 {
			t.Fatalf("asked for %v", asked.names)
		}
		in.confirm("one", joined)
		synctest.Wait()
		if begun != 0 || len(added) != 0 {
			t.Errorf("begun %d times, and %d know, while one is missing", begun, len(added))
		}
		no := errors.New("no")
		in.refuse("refused", no)
		synctest.Wait()
		if begun != 1 || len(added) != 2 {
			t.Fatalf("begun %d times, and %d know", begun, len(added))
		}
		if err := errors.Join(<-added, <-added); !errors.Is(err, no) || err.Error() != no.Error() {
			t.Errorf("Add: %v", err)
		}
	})
}
