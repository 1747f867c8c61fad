package netwalk

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// counts are what a walk must not leave behind.
type counts struct {
	goroutines int
	files      map[string]int // open ones, by what they are
}

func count() counts {
	c := counts{goroutines: runtime.NumGoroutine(), files: make(map[string]int)}
	links, _ := filepath.Glob("/proc/self/fd/*") // none where there is no such folder
	for _, link := range links {
		// What Go waits for sockets with stays: it is made with the first of them.
		if of, err := os.Readlink(link); err == nil && !strings.HasPrefix(of, "anon_inode:") {
			kind, _, _ := strings.Cut(of, ":")
			c.files[kind]++
		}
	}
	return c
}

// await waits until there is no more than there was.
func (before counts) await(t *testing.T) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var now counts
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if now = count(); now.goroutines <= before.goroutines && before.holds(now) {
			return
		}
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines, and files %v; there were %d, and %v\n%s", now.goroutines, now.files, before.goroutines, before.files, stacks[:runtime.Stack(stacks, true)])
}

func (before counts) holds(now counts) bool {
	for kind, n := range now.files {
		if n > before.files[kind] {
			return false
		}
	}
	return true
}
