package nemesis

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// Walks and Seed are the environment variables that say how often a test at random is done, and
// how what has failed is done again.
const (
	Walks = "EVENTTARGET_WALKS"
	Seed  = "EVENTTARGET_SEED"
)

// Walk runs a test so many times, or as often as the environment says, each time with another
// seed, until it fails. What then happens depends on the scheduler, too.
func Walk(t *testing.T, times int, test func(t *testing.T, seed uint64)) {
	if n, err := strconv.Atoi(os.Getenv(Walks)); err == nil {
		times = n
	}
	for range times {
		seed := rand.Uint64() //nolint:gosec // tests need no secret
		if n, err := strconv.ParseUint(os.Getenv(Seed), 10, 64); err == nil {
			seed = n
		}
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { test(t, seed) }) {
			return
		}
	}
}
