//go:build linux

package soak_test

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// TestMain makes this binary the workers, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		child()
		return
	}
	os.Exit(m.Run())
}

// plan is how long the test takes.
type plan struct {
	chapters, faults int           // of each lane, in a chapter
	between, stays   time.Duration // faults
}

func planned() plan {
	if os.Getenv(nemesis.Soak) != "" {
		return plan{chapters: 60, faults: 2, between: 10 * time.Second, stays: 2 * time.Second} // 20 min
	}
	return plan{chapters: 2, faults: 1, between: 2 * time.Second, stays: 500 * time.Millisecond}
}

// TestAllAdapters: all adapters at once, and in each chapter faults in every one of them.
// What was accepted is heard, or told to be missing, and nothing grows.
func TestAllAdapters(t *testing.T) {
	lanes := []*lane{
		inMemory(t), overWebSocket(t), overEvents(t), overQUIC(t), throughWorker(t),
		overRedis(t, false), overRedis(t, true), overJoined(t, false), overJoined(t, true),
	}
	p, random := planned(), nemesis.Rand(t)
	did := map[string]int{}
	var sizes []size
	t.Log("seconds,rss_kib,heap_kib,goroutines,files")
	began := time.Now()
	for chapter := range p.chapters {
		for _, l := range lanes {
			l.open(chapter)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, l := range lanes {
			l.run(ctx, &running)
		}
		for range p.faults {
			var now []fault
			for _, l := range lanes {
				if len(l.faults) > 0 {
					f := l.faults[random.IntN(len(l.faults))]
					did[l.name+": "+f.name]++
					l.note("%s", f.name)
					now = append(now, f)
				}
			}
			next := time.After(p.between)
			for _, f := range now {
				f.begin()
			}
			<-time.After(p.stays)
			for _, f := range now {
				if f.end != nil {
					f.end()
				}
			}
			whole(t, lanes)
			<-next
		}
		cancel()
		running.Wait()
		for _, l := range lanes {
			t.Run(l.name, l.close)
		}
		if t.Failed() {
			break
		}
		sizes = append(sizes, measure(t, time.Since(began)))
	}
	for _, l := range lanes {
		t.Logf("%s: %v", l.name, l.total)
	}
	for name, n := range did {
		t.Logf("%d times %s", n, name)
	}
	flat(t, sizes)
}

// whole waits until every lane is as it was before the faults.
func whole(t *testing.T, lanes []*lane) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, l := range lanes {
		if l.ready == nil {
			continue
		}
		if err := l.ready(ctx); err != nil {
			l.explain(t)
			t.Fatalf("%s is not up again: %v", l.name, err)
		}
	}
}

// size is how much there is of the process.
type size struct {
	rss, heap         int // KiB
	goroutines, files int
}

func measure(t *testing.T, after time.Duration) (s size) {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(status)[1]))
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	s = size{rss: pages * os.Getpagesize() / 1024, heap: int(m.HeapInuse / 1024), goroutines: runtime.NumGoroutine(), files: len(files)}
	t.Logf("%.0f,%d,%d,%d,%d", after.Seconds(), s.rss, s.heap, s.goroutines, s.files)
	return s
}

// flat wants the last quarter of a long run to be as the second one was.
func flat(t *testing.T, sizes []size) {
	t.Helper()
	q := len(sizes) / 4
	if q < 4 {
		return
	}
	for name, of := range map[string]func(size) int{
		"resident KiB": func(s size) int { return s.rss }, "heap KiB": func(s size) int { return s.heap },
		"goroutines": func(s size) int { return s.goroutines }, "files": func(s size) int { return s.files },
	} {
		median := func(some []size) int {
			var all []int
			for _, s := range some {
				all = append(all, of(s))
			}
			slices.Sort(all)
			return all[len(all)/2]
		}
		before, after := median(sizes[q:2*q]), median(sizes[len(sizes)-q:])
		t.Logf("%s: %d in the second quarter, %d in the last", name, before, after)
		if after > before+before/10 {
			t.Errorf("%s grow", name)
		}
	}
}
