//go:build unix

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/worker"
)

// TestReloadUnderLoad: nothing is lost, doubled or out of order while one child after
// the other takes over.
func TestReloadUnderLoad(t *testing.T) {
	const reloads, each = 20, 50 * time.Millisecond
	var h nemesis.History
	from := h.Publisher("parent")
	heard := h.Listener("parent", from)
	w, err := worker.Start(self(t, "works", worker.Options{Options: link.Options{OnFault: func(f eventtarget.Fault) { t.Error(f) }}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add(t.Context(), eventtarget.T("mirrored", "*"), eventtarget.Func(heard.Handle)); err != nil {
		t.Fatal(err)
	}
	if err := w.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	stopped := load(t, from, w, eventtarget.T("mirror", "one"), stop)
	began := time.Now()
	pids := map[int]bool{w.PID(): true}
	var longest time.Duration
	for range reloads {
		<-time.After(each)
		began := time.Now()
		if err := w.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(began))
		pids[w.PID()] = true
	}
	took := time.Since(began)
	close(stop)
	<-stopped
	v := h.Await(t, 10*time.Second)
	t.Logf("%.0f events/s, %d reloads, the longest in %v", float64(v.Accepted)/took.Seconds(), reloads, longest)
	if v.LostAnnounced != 0 || v.Heard != v.Accepted || len(pids) != reloads+1 {
		t.Errorf("%v; %d children", v, len(pids))
	}
	if err := w.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for pid := range pids {
		awaitGone(t, pid)
	}
}

// load dispatches about 2000 events in a second until stop is closed.
func load(t *testing.T, from *nemesis.Publisher, to eventtarget.Target, topic eventtarget.Topic, stop <-chan struct{}) <-chan struct{} {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			for range 10 {
				if err := from.Dispatch(context.WithoutCancel(t.Context()), to, topic); err != nil {
					t.Error(err)
					return
				}
			}
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return stopped
}

// TestReloadFinishes: what the old child had been sent is handled by it, and heard before
// anything of the new one.
func TestReloadFinishes(t *testing.T) {
	w, s := start(t, "works", worker.Options{})
	old := pidOf(t, w, s)
	const many = 100
	for n := range many {
		tell(t, w, "slow", strconv.Itoa(n))
	}
	var echoed []string
	for arrived := 0; arrived < many; {
		if e := s.any(); e.Type == "arrived" {
			arrived++
		} else {
			echoed = append(echoed, e.ID)
		}
	}
	if len(echoed) == many {
		t.Fatal("it handled everything before it could be asked to")
	}
	reloaded := make(chan error, 1)
	go func() { reloaded <- w.Reload(t.Context()) }()
	for len(echoed) < many {
		echoed = append(echoed, s.next("echoed"))
	}
	for n, got := range echoed {
		if want := strconv.Itoa(n) + " by " + old; got != want {
			t.Fatalf("heard %s, want %s", got, want)
		}
	}
	if err := <-reloaded; err != nil {
		t.Fatal(err)
	}
	if next := pidOf(t, w, s); next == old || next != strconv.Itoa(w.PID()) {
		t.Errorf("%s took over from %s; the target says %d", next, old, w.PID())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) != 0 {
		t.Errorf("told %v", s.faults)
	}
}

func pidOf(t *testing.T, w *worker.Worker, s *said) string {
	t.Helper()
	tell(t, w, "pid", "")
	return s.next("pid")
}

// TestReloadFails: a child that does not come up takes nobody's place.
func TestReloadFails(t *testing.T) {
	w, s := start(t, "works", worker.Options{Inherit: []string{"BROKEN"}})
	old := pidOf(t, w, s)
	for broken, is := range map[string]func(error) bool{
		"handshake": func(err error) bool { return errors.Is(err, worker.ErrHandshake) },
		"setup": func(err error) bool {
			e, ok := errors.AsType[*worker.Exit](err)
			return ok && e.State.ExitCode() == 4
		},
	} {
		t.Run(broken, func(t *testing.T) {
			t.Setenv("BROKEN", broken)
			if err := w.Reload(t.Context()); !is(err) {
				t.Errorf("reloaded into one that fails: %v", err)
			}
			if got := pidOf(t, w, s); got != old {
				t.Errorf("then %s answers instead of %s", got, old)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Reload(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	inside := make(chan error, 1)
	if _, err := w.Add(t.Context(), eventtarget.T("pid", "*"), eventtarget.Func(func(ctx context.Context, _ event) { inside <- w.Reload(ctx) })); err != nil {
		t.Fatal(err)
	}
	if got := pidOf(t, w, s); got != old {
		t.Errorf("then %s answers instead of %s", got, old)
	}
	if err := <-inside; !errors.Is(err, eventtarget.ErrWouldBlock) {
		t.Errorf("inside a listener: %v", err)
	}
	_ = w.Close()
	if err := w.Reload(t.Context()); !errors.Is(err, eventtarget.ErrClosed) {
		t.Errorf("a closed one: %v", err)
	}
}

// TestReloadHangs: an old child that does not finish is ended, which is told, and the new
// one goes on with what was dispatched meanwhile.
func TestReloadHangs(t *testing.T) {
	w, s := start(t, "works", worker.Options{TermTimeout: 50 * time.Millisecond, KillTimeout: 50 * time.Millisecond})
	old := pidOf(t, w, s)
	tell(t, w, "hang", "")
	s.next("arrived")
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exit := s.exit(1); exit.Unfinished == 0 {
		t.Errorf("the one that hung left nothing unfinished: %v", exit)
	}
	if got := pidOf(t, w, s); got == old {
		t.Error("the one that hung answers")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.faults[len(s.faults)-1]; last.Kind != eventtarget.FaultGap {
		t.Errorf("told %v", s.faults)
	}
}

// TestShutdownDuringReload: a child that is still setting up when its target ends is of no use
// to anybody, and ends with it.
func TestShutdownDuringReload(t *testing.T) {
	log := make(lines, 100)
	w, err := worker.Start(self(t, "works", worker.Options{
		Inherit: []string{"BROKEN"}, Options: link.Options{OnFault: func(eventtarget.Fault) {}}, Log: slog.New(slog.NewTextHandler(log, nil)),
	}))
	if err != nil {
		t.Fatal(err)
	}
	p, err := worker.StartPool(worker.PoolOptions{
		Size: 1, Options: hub.Options{OnFault: func(eventtarget.Fault) {}},
		Worker: self(t, "works", worker.Options{Inherit: []string{"BROKEN"}, Log: slog.New(slog.NewTextHandler(log, nil))}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Ready(t.Context()), p.Ready(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BROKEN", "slow setup")
	for name, target := range map[string]interface {
		eventtarget.Endpoint
		Reload(context.Context) error
	}{"worker": w, "pool": p} {
		reloaded := make(chan error, 1)
		go func() { reloaded <- target.Reload(t.Context()) }()
		var pid int
		for pid == 0 {
			_, text, _ := strings.Cut(<-log, "sets up ")
			_, _ = fmt.Sscan(text, &pid)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := target.Shutdown(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("%s: the child that was not ready is still there", name)
		}
		select {
		case err := <-reloaded:
			if !errors.Is(err, eventtarget.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		case <-ctx.Done():
			t.Errorf("%s: Reload goes on", name)
		}
	}
}
