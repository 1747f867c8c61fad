//go:build unix

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// newPool starts a pool of children that works.
func newPool(t *testing.T, o worker.PoolOptions) *worker.Pool {
	t.Helper()
	o.Worker = self(t, "works", o.Worker)
	p, err := worker.StartPool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		<-p.Done()
	})
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// startPool is newPool, and returns what the children say.
func startPool(t *testing.T, o worker.PoolOptions) (*worker.Pool, *said) {
	t.Helper()
	s := &said{t: t, events: make(chan event, 10000)}
	if o.OnFault == nil {
		o.OnFault = s.fault
	}
	p := newPool(t, o)
	if _, err := p.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[eventtarget.Raw]{
		Inline: true, Handle: func(_ context.Context, e event) { s.events <- e },
	}); err != nil {
		t.Fatal(err)
	}
	return p, s
}

func (s *said) any() event {
	s.t.Helper()
	select {
	case e := <-s.events:
		return e
	case <-time.After(20 * time.Second):
		s.t.Fatal("heard nothing more")
		return event{}
	}
}

// TestPool: what is dispatched to the pool goes to every child, what is dispatched to its
// consumers to one, always the same for a topic.
func TestPool(t *testing.T) {
	const size, topics, each = 3, 30, 20
	p, s := startPool(t, worker.PoolOptions{Size: size})
	pids := p.PIDs()
	for n := range each {
		if err := p.Dispatch(t.Context(), event{Type: "echo", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
	}
	heard := map[string]int{}
	for range size * each {
		e := s.any()
		if from := e.Source.ID(); e.ID != strconv.Itoa(heard[from]) {
			t.Fatalf("%s said %s, want %d", from, e.ID, heard[from])
		} else {
			heard[from]++
		}
	}
	for n := range each {
		for topic := range topics {
			if err := p.Consumers().Dispatch(t.Context(), event{Type: "mirror", ID: strconv.Itoa(topic), Payload: fmt.Append(nil, n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	by, next := map[string]string{}, map[string]int{}
	for range topics * each {
		e := s.any()
		if from, known := by[e.ID]; known && from != e.Source.ID() || string(e.Payload) != strconv.Itoa(next[e.ID]) {
			t.Fatalf("%s handled %s of topic %s; %s had the topic, and %d was next", e.Source.ID(), e.Payload, e.ID, from, next[e.ID])
		}
		by[e.ID] = e.Source.ID()
		next[e.ID]++
	}
	used := map[string]bool{}
	for _, from := range by {
		used[from] = true
	}
	if len(heard) != size || len(used) != size || len(s.events) != 0 {
		t.Errorf("%d children heard all, %d had topics, %d events too many", len(heard), len(used), len(s.events))
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("behind Shutdown a child is there: %v", err)
		}
	}
	if err := p.Consumers().Dispatch(t.Context(), event{Type: "echo"}); !errors.Is(err, eventtarget.ErrClosed) {
		t.Errorf("dispatched to consumers that are no more: %v", err)
	}
	if err := p.Ready(t.Context()); !errors.Is(err, eventtarget.ErrClosed) {
		t.Errorf("a pool that is no more is ready: %v", err)
	}
}

// TestPoolReload: nothing is lost, doubled or out of order per topic while every child is
// replaced.
func TestPoolReload(t *testing.T) {
	const topics, reloads = 4, 5
	var h nemesis.History
	p := newPool(t, worker.PoolOptions{Size: 2, Options: hub.Options{OnFault: func(f eventtarget.Fault) { t.Error(f) }}})
	stop := make(chan struct{})
	var all []<-chan struct{}
	heard := map[string]*nemesis.Listener{}
	publishers := map[string]*nemesis.Publisher{}
	for n := range topics {
		id := strconv.Itoa(n)
		publishers[id] = h.Publisher(id)
		heard[id] = h.Listener("parent of "+id, publishers[id])
	}
	hear(t, p, heard)
	for id, from := range publishers {
		all = append(all, load(t, from, p.Consumers(), eventtarget.T("mirror", id), stop))
	}
	seen := p.PIDs()
	for n := range reloads {
		<-time.After(50 * time.Millisecond)
		if err := p.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, p.PIDs()...)
		if slices.Sort(seen); len(slices.Compact(slices.Clone(seen))) != 2*(n+2) {
			t.Errorf("children %v after %d reloads", seen, n+1)
		}
	}
	close(stop)
	for _, stopped := range all {
		<-stopped
	}
	if v := h.Await(t, 10*time.Second); v.Heard != v.Accepted {
		t.Error(v)
	}
	for _, pid := range seen[:2*reloads] {
		if !slices.Contains(p.PIDs(), pid) {
			awaitGone(t, pid)
		}
	}
}

// hear makes each listener hear what is mirrored of its topic, where it is read: in
// order with the faults.
func hear(t *testing.T, to eventtarget.Target, heard map[string]*nemesis.Listener) {
	for id, l := range heard {
		if _, err := to.Add(t.Context(), eventtarget.T("mirrored", id), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: l.Handle}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPoolPlace: a place keeps what it may while it has no child, is made anew when that
// is too much, and others do not notice.
func TestPoolPlace(t *testing.T) {
	var mu sync.Mutex
	gone := map[string]eventtarget.Code{}
	p, s := startPool(t, worker.PoolOptions{
		Size: 2, Worker: worker.Options{Inherit: []string{"BROKEN"}, Options: link.Options{Backoff: link.Backoff{Max: 10 * time.Millisecond}}},
		Options: hub.Options{SpokeEvents: 10, OnDisconnect: func(s *hub.Spoke, r eventtarget.Reason) {
			mu.Lock()
			defer mu.Unlock()
			gone[s.ID()] = r.Code
		}},
	})
	t.Setenv("BROKEN", "setup")
	if err := p.Reload(t.Context()); err == nil {
		t.Error("reloaded into a child that fails")
	}
	down, _ := p.Spoke("worker-0")
	up, _ := p.Spoke("worker-1")
	if err := syscall.Kill(p.PIDs()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.exit(2) // and one that could not be started
	for n := range 5 {
		if err := down.Dispatch(t.Context(), event{Type: "echo", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Unsetenv("BROKEN"); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if got := s.next("echoed"); got != strconv.Itoa(n) {
			t.Fatalf("heard %s of what was kept, want %d", got, n)
		}
	}
	t.Setenv("BROKEN", "setup")
	if err := syscall.Kill(p.PIDs()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var err error
	for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); {
		err = down.Dispatch(t.Context(), event{Type: "echo", ID: "too many"})
	}
	if !errors.Is(err, eventtarget.ErrOverflow) {
		t.Fatalf("too many for a place without a child: %v", err)
	}
	<-down.Done()
	if err := os.Unsetenv("BROKEN"); err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, ok := p.Spoke("worker-0")
	if still, _ := p.Spoke("worker-1"); !ok || again == down || still != up {
		t.Error("the place was not made anew, or the other one was")
	}
	if err := again.Dispatch(t.Context(), event{Type: "echo", ID: "back"}); err != nil {
		t.Fatal(err)
	}
	for s.next("echoed") != "back" { // of those that were too many the first may have been read
	}
	mu.Lock()
	defer mu.Unlock()
	if len(gone) != 1 || gone["worker-0"] != eventtarget.CodeSlow {
		t.Errorf("gone are %v", gone)
	}
}

// TestPoolExit: a child that ends because it wants to is replaced, too, and so is a place
// that was closed.
func TestPoolExit(t *testing.T) {
	p, s := startPool(t, worker.PoolOptions{Size: 1, Worker: worker.Options{Options: link.Options{Backoff: link.Backoff{Min: time.Millisecond}}}})
	before := p.PIDs()[0]
	spoke, _ := p.Spoke("worker-0")
	if err := spoke.Dispatch(t.Context(), event{Type: "exit", ID: "0"}); err != nil {
		t.Fatal(err)
	}
	s.next("last")
	s.exit(1)
	if err := spoke.Dispatch(t.Context(), event{Type: "pid"}); err != nil {
		t.Fatal(err)
	}
	after := s.next("pid")
	if after == strconv.Itoa(before) {
		t.Error("the one that has ended answers")
	}
	_ = spoke.Close()
	<-spoke.Done()
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Consumers().Dispatch(t.Context(), event{Type: "pid"}); err != nil {
		t.Fatal(err)
	}
	if s.next("pid") == after {
		t.Error("the child of a place that was closed answers")
	}
}

func TestPoolOptions(t *testing.T) {
	for name, o := range map[string]worker.PoolOptions{
		"no program": {}, "size": {Size: -1, Worker: worker.Options{Path: "/x"}},
		"hub":   {Worker: worker.Options{Path: "/x"}, Options: hub.Options{LogBytes: -1}},
		"pause": {Worker: worker.Options{Path: "/x", Options: link.Options{Backoff: link.Backoff{Max: -1}}}},
	} {
		if _, err := worker.StartPool(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	p, err := worker.StartPool(worker.PoolOptions{Worker: self(t, "exits in the handshake", worker.Options{}), Options: hub.Options{OnFault: func(eventtarget.Fault) {}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(t.Context()); !errors.Is(err, worker.ErrHandshake) {
		t.Errorf("a program that is no worker: %v", err)
	}
	inside, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Reload(inside); err == nil {
		t.Error("reloaded what never was")
	}
	_ = p.Close()
	<-p.Done()
}
