package rawconn

import (
	"testing"
	"time"
)

// TestEager: who is answered soon, again and again, looks for the next answer, as long as that
// takes no longer than to wake up. Who looks in vain, or for long, does so ever less, and no more
// once answers come late.
func TestEager(t *testing.T) {
	const in, late = 10 * time.Microsecond, time.Second
	waits := func(e *eager, n int, d time.Duration) {
		for range n {
			e.waited(d)
		}
	}
	// took is how many of many waits began with a look that took d, and what they took.
	took := func(e *eager, d time.Duration) (looks int, share float64) {
		const many = 100_000
		for range many {
			if e.looks() {
				looks++
				e.looked(d)
			}
			if d >= look {
				e.waited(d + in)
			} else if !e.looks() {
				e.waited(in)
			}
		}
		return looks, float64(looks) / many
	}
	t.Run("after some that came soon", func(t *testing.T) {
		var e eager
		waits(&e, trust-1, in)
		if e.looks() {
			t.Error("one too early")
		}
		e.waited(in)
		if !e.looks() {
			t.Error("does not look")
		}
		e.waited(late)
		if e.looks() {
			t.Error("looks for what comes late")
		}
	})
	t.Run("as long as it pays", func(t *testing.T) {
		for _, d := range []time.Duration{in, wake} {
			var e eager
			if looks, share := took(&e, d); share < 0.99 {
				t.Errorf("looks of %v: %d, %.3f", d, looks, share)
			}
		}
		for _, d := range []time.Duration{2 * wake, look} {
			var e eager
			if looks, share := took(&e, d); looks < 2 || share > 0.1 {
				t.Errorf("looks of %v: %d, %.3f", d, looks, share)
			}
		}
	})
	t.Run("ever less in vain, and again as soon as before when it has paid", func(t *testing.T) {
		var e eager
		if _, share := took(&e, look); share > 3.0/distrust {
			t.Errorf("looked in %.3f of the waits", share)
		}
		for !e.looks() {
			e.waited(in)
		}
		e.looked(in)
		e.waited(late)
		waits(&e, trust, in)
		if !e.looks() {
			t.Error("does not look")
		}
	})
	t.Run("mostly soon", func(t *testing.T) {
		var e eager
		waits(&e, trust, in)
		for range 1000 {
			for range 10 {
				if !e.looks() {
					t.Fatal("gives up, though it mostly pays")
				}
				e.looked(in)
			}
			e.looked(look)
			e.waited(look + in)
		}
	})
}
