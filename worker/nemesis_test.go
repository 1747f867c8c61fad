//go:build unix

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/worker"
)

// ends collects how children end, from faults.
type ends struct {
	told    chan time.Time // each end
	mu      sync.Mutex
	counted uint64 // events that may be lost with them
	gaps    func(eventtarget.Fault)
}

func newEnds(gaps func(eventtarget.Fault)) *ends {
	return &ends{told: make(chan time.Time, 1000), gaps: gaps}
}

func (e *ends) fault(f eventtarget.Fault) {
	if exit, ok := errors.AsType[*worker.Exit](f.Err); ok && f.Kind == eventtarget.FaultDisconnected {
		e.mu.Lock()
		e.counted += exit.Unfinished
		e.mu.Unlock()
		e.told <- time.Now()
	}
	e.gaps(f)
}

// kill kills one child after the other, while there is traffic, and returns how soon
// each end was told.
func (e *ends) kill(t *testing.T, times int, pid func(n int) int, ready func(context.Context) error) (took []time.Duration) {
	t.Helper()
	random := nemesis.Rand(t)
	for n := range times {
		if err := ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(random.IntN(30)) * time.Millisecond)
		began := time.Now()
		if err := syscall.Kill(pid(n), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		select {
		case told := <-e.told:
			took = append(took, told.Sub(began))
		case <-time.After(20 * time.Second):
			t.Fatal("an end was never told")
		}
	}
	slices.Sort(took)
	t.Logf("killed %d times: told after %v (median), %v (longest)", times, took[times/2], took[times-1])
	if took[times/2] > 100*time.Millisecond {
		t.Error("that is too late")
	}
	return took
}

// judge checks that nothing was lost but what was told.
func (e *ends) judge(t *testing.T, h *nemesis.History) {
	t.Helper()
	v := h.Await(t, 20*time.Second)
	e.mu.Lock()
	defer e.mu.Unlock()
	t.Logf("%d lost, %d counted as unfinished", v.LostAnnounced, e.counted)
	if uint64(v.LostAnnounced) > e.counted {
		t.Error("more than that are lost")
	}
}

var atOnce = link.Backoff{Min: time.Millisecond, Max: time.Millisecond}

// quiet is a log for children that are killed all the time.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func TestNemesisKilled(t *testing.T) {
	var h nemesis.History
	from := h.Publisher("parent")
	heard := h.Listener("parent", from)
	e := newEnds(heard.Fault)
	w, err := worker.Start(self(t, "works", worker.Options{Restart: worker.Always, Log: quiet, Options: link.Options{Backoff: atOnce, OnFault: e.fault}}))
	if err != nil {
		t.Fatal(err)
	}
	hear(t, w, map[string]*nemesis.Listener{"*": heard})
	stop := make(chan struct{})
	stopped := load(t, from, w, eventtarget.T("mirror", "one"), stop)
	e.kill(t, nemesis.Times(1000), func(int) int { return w.PID() }, w.Ready)
	close(stop)
	<-stopped
	e.judge(t, &h)
	_ = w.Close()
	<-w.Done()
}

func TestNemesisPoolKilled(t *testing.T) {
	const size, topics = 2, 4
	var h nemesis.History
	var listeners []*nemesis.Listener
	e := newEnds(func(f eventtarget.Fault) {
		for _, l := range listeners {
			l.Fault(f)
		}
	})
	heard, publishers := map[string]*nemesis.Listener{}, map[string]*nemesis.Publisher{}
	for n := range topics {
		id := strconv.Itoa(n)
		publishers[id] = h.Publisher(id)
		heard[id] = h.Listener("parent of "+id, publishers[id])
		listeners = append(listeners, heard[id])
	}
	p, err := worker.StartPool(worker.PoolOptions{
		Size: size, Worker: self(t, "works", worker.Options{Log: quiet, Options: link.Options{Backoff: atOnce}}), Options: hub.Options{OnFault: e.fault},
	})
	if err != nil {
		t.Fatal(err)
	}
	hear(t, p, heard)
	stop := make(chan struct{})
	var all []<-chan struct{}
	for id, from := range publishers {
		all = append(all, load(t, from, p.Consumers(), eventtarget.T("mirror", id), stop))
	}
	e.kill(t, nemesis.Times(1000), func(n int) int { return p.PIDs()[n%size] }, p.Ready)
	close(stop)
	for _, stopped := range all {
		<-stopped
	}
	e.judge(t, &h)
	_ = p.Close()
	<-p.Done()
}

// parent is a parent that tells who its children are, and lives until it is killed.
func parent() {
	ctx := context.Background()
	o := worker.Options{Path: os.Args[0], Args: []string{"child", "stays"}}
	w, err := worker.Start(o)
	if err == nil {
		err = w.Ready(ctx)
	}
	p, failed := worker.StartPool(worker.PoolOptions{Size: 2, Worker: o})
	if failed == nil {
		failed = p.Ready(ctx)
	}
	if err = errors.Join(err, failed); err != nil {
		panic(err)
	}
	fmt.Println(w.PID(), p.PIDs()[0], p.PIDs()[1])
	select {}
}

// TestNemesisOrphans: whatever happens to the parent, no child outlives it.
func TestNemesisOrphans(t *testing.T) {
	path, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	times := nemesis.Times(1000)
	var longest time.Duration
	for range times {
		p := exec.Command(path, "child", "parent")
		p.Env = []string{}
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		pids := make([]int, 3)
		if _, err := fmt.Fscan(out, &pids[0], &pids[1], &pids[2]); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_ = p.Process.Kill()
		_ = p.Wait()
		for _, pid := range pids {
			awaitGone(t, pid)
		}
		longest = max(longest, time.Since(began))
	}
	t.Logf("killed %d parents of 3: the last orphan was gone after %v", times, longest)
	if longest > time.Second {
		t.Error("that is too late")
	}
}

// TestNemesisReload: a child that is killed while another is about to take its place holds
// up nobody.
func TestNemesisReload(t *testing.T) {
	o := self(t, "works", worker.Options{Restart: worker.Always, Log: quiet, Options: link.Options{Backoff: atOnce, OnFault: func(eventtarget.Fault) {}}})
	w, err := worker.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := worker.StartPool(worker.PoolOptions{Size: 1, Worker: o, Options: hub.Options{OnFault: o.OnFault}})
	if err != nil {
		t.Fatal(err)
	}
	type reloads interface {
		eventtarget.Endpoint
		Reload(ctx context.Context) error
	}
	for name, c := range map[string]struct {
		reloads
		pid func() int
	}{"worker": {w, w.PID}, "pool": {p, func() int { return p.PIDs()[0] }}} {
		t.Run(name, func(t *testing.T) {
			random, failed, times := nemesis.Rand(t), 0, nemesis.Times(500)
			heard := make(chan event, 10)
			if _, err := c.Add(t.Context(), eventtarget.T("echoed", "*"), eventtarget.Func(func(_ context.Context, e event) { heard <- e })); err != nil {
				t.Fatal(err)
			}
			for range times {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if err := c.Ready(ctx); err != nil {
					t.Fatal(err)
				}
				pid, killed := c.pid(), make(chan struct{})
				time.AfterFunc(time.Duration(random.IntN(8000))*time.Microsecond, func() {
					_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
					close(killed)
				})
				if err := c.Reload(ctx); err != nil {
					failed++
				}
				<-killed
				if ctx.Err() != nil {
					t.Fatal("Reload hangs")
				}
			}
			t.Logf("%d of %d failed", failed, times)
			awaitEcho(t, c, heard)
			_ = c.Close()
			<-c.Done()
		})
	}
}

// awaitEcho waits until a child answers.
func awaitEcho(t *testing.T, to eventtarget.Target, heard <-chan event) {
	t.Helper()
	for late := time.After(20 * time.Second); ; {
		_ = to.Dispatch(t.Context(), event{Type: "echo"}) // lost, if the last one was killed
		select {
		case <-heard:
			return
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatal("nobody answers")
		}
	}
}
