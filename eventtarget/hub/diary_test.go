package hub_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// random runs a test of each kind several times in a bubble, each time differently.
func random(t *testing.T, kinds []string, walk func(t *testing.T, kind string, seed uint64)) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			nemesis.Walk(t, 5, func(t *testing.T, seed uint64) {
				synctest.Test(t, func(t *testing.T) { walk(t, kind, seed) })
			})
		})
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

// cord is a link's way to a hub.
type cord struct {
	mu   sync.Mutex
	near *link.PipeConn
	away time.Time // until then there is none
}

// cut cuts it, perhaps for a while, and returns for how long.
func (c *cord) cut(rng *rand.Rand) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rng.IntN(2) == 0 {
		c.away = time.Now().Add(time.Duration(rng.IntN(2000)) * time.Millisecond)
	}
	if c.near != nil {
		c.near.Cut()
	}
	return time.Until(c.away)
}
