package hub

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestFillIsWaitedFor: a spoke whose snapshot was long in coming has had nothing to take until
// it was there, and is waited for from then on.
func TestFillIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &inbox{policy: eventtarget.Disconnect, bounds: &bounds{bytes: 100, count: 100, all: budget{most: 1000}}}
		hold := &step{kind: doHold}
		if err := b.put(item{do: hold}); err != nil {
			t.Fatal(err)
		}
		if err := b.put(item{msg: &message{bytes: make([]byte, 10)}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // of the bubble's time
		b.fill(hold, []*message{{bytes: make([]byte, 80)}}, nil, func(item) bool { return false })
		if _, most := b.wait(time.Now()); most != stallAfter {
			t.Errorf("it is waited for %v, want %v", most, stallAfter)
		}
	})
}
