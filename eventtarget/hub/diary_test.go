package hub_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// random runs a test of each kind several times, each time differently. What failed is done again
// with its seed in EVENTTARGET_SEED.
func random(t *testing.T, kinds []string, walk func(t *testing.T, kind string, seed uint64)) {
	times := 5
	if n, err := strconv.Atoi(os.Getenv("EVENTTARGET_WALKS")); err == nil {
		times = n
	}
	for _, kind := range kinds {
		for range times {
			seed := rand.Uint64()
			if n, err := strconv.ParseUint(os.Getenv("EVENTTARGET_SEED"), 10, 64); err == nil {
				seed = n
			}
			if !t.Run(fmt.Sprintf("%s/seed=%d", kind, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { walk(t, kind, seed) })
			}) {
				break
			}
		}
	}
}

// diary is of a test that does something at random: it says what was done, if that fails.
type diary struct {
	t     *testing.T
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// tell logs it if the test has failed.
func (d *diary) tell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.t.Failed() {
		d.t.Log(strings.Join(d.lines, "\n"))
	}
}

func (d *diary) must(err error) {
	if err != nil {
		d.t.Error(err)
		d.tell()
		d.t.FailNow()
	}
}
