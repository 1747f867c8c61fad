package link_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestBackoffPause: the pauses that the comment of Backoff tells of, with and without Min.
func TestBackoffPause(t *testing.T) {
	const min30 = 30 * time.Second
	for _, c := range []struct {
		backoff              link.Backoff
		failing, least, most time.Duration
	}{
		{link.Backoff{}, 0, 0, 100 * time.Millisecond},
		{link.Backoff{}, 100 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond},
		{link.Backoff{}, time.Second, 500 * time.Millisecond, 2500 * time.Millisecond},
		{link.Backoff{}, 4 * time.Second, 2 * time.Second, 10 * time.Second},
		{link.Backoff{}, time.Minute, 2 * time.Second, 10 * time.Second},
		{link.Backoff{Min: min30}, 0, 0, min30},
		{link.Backoff{Min: min30}, time.Minute, 6 * time.Second, min30},
		{link.Backoff{Min: min30, Max: time.Second}, time.Minute, time.Second / 5, time.Second},
	} {
		shortest, longest := time.Duration(math.MaxInt64), time.Duration(0)
		for range 1000 {
			pause := c.backoff.WithDefaults().Pause(c.failing)
			shortest, longest = min(shortest, pause), max(longest, pause)
		}
		// Of 1000 one is in the first, and one in the last twentieth.
		near := (c.most - c.least) / 20
		if shortest <= c.least || shortest > c.least+near || longest > c.most || longest < c.most-near {
			t.Errorf("%+v after %v: from %v to %v, want %v to %v", c.backoff, c.failing, shortest, longest, c.least, c.most)
		}
	}
}

// TestBackoffMin: without a Max a link pauses for as long as Min says, too.
func TestBackoffMin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(func(int) error { return errors.New("refused") })
		start(t, link.Options{Dial: net.dial, Backoff: link.Backoff{Min: 30 * time.Second}})
		time.Sleep(time.Hour)
		dials, longest := net.dialled(), time.Duration(0)
		for n := range len(dials) - 1 {
			longest = max(longest, dials[n+1]-dials[n])
		}
		if longest < 25*time.Second || longest > 30*time.Second {
			t.Errorf("the longest pause is %v", longest)
		}
	})
}
