//go:build unix

package worker_test

import (
	"context"
	"math/rand/v2"
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

// parenting is a worker, or a pool, whose children are treated in every way.
type parenting struct {
	eventtarget.Endpoint
	pids   func() []int
	reload func(context.Context) error
	ready  func(context.Context) error
}

// mistreat does something to the children, at random.
func (p parenting) mistreat(t *testing.T, rng *rand.Rand, wg *sync.WaitGroup) {
	pids := p.pids()
	pid := pids[rng.IntN(len(pids))]
	if pid == 0 {
		return
	}
	switch what := rng.IntN(10); {
	case what < 3:
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	case what < 5:
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		time.AfterFunc(time.Duration(rng.IntN(20))*time.Millisecond, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	case what < 8:
		most := time.Duration(1+rng.IntN(60)) * time.Millisecond
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), most)
			defer cancel()
			_ = p.reload(ctx) // it may be too slow, or its child killed
		})
	case what < 9:
		_ = p.Dispatch(t.Context(), event{Type: "exit", ID: "0"})
	default:
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := p.ready(ctx); err != nil {
			t.Error(err)
		}
	}
}

// TestNemesisMixed: children are killed, stopped, told to end and replaced, at once and one behind
// the other, while they are at work: nothing is lost but what is counted, and nothing is done twice.
func TestNemesisMixed(t *testing.T) {
	for _, kind := range []string{"worker", "pool"} {
		t.Run(kind, func(t *testing.T) {
			var h nemesis.History
			one, two := h.Publisher("one"), h.Publisher("two")
			first, second := h.Listener("parent of one", one), h.Listener("parent of two", two)
			e := newEnds(func(f eventtarget.Fault) { first.Fault(f); second.Fault(f) })
			e.told = make(chan time.Time, 10000) // nobody asks
			o := self(t, "works", worker.Options{Restart: worker.Always, Log: quiet, Options: link.Options{Backoff: atOnce, OnFault: e.fault}})
			var p parenting
			var to eventtarget.Target
			if kind == "worker" {
				w, err := worker.Start(o)
				if err != nil {
					t.Fatal(err)
				}
				p, to = parenting{w, func() []int { return []int{w.PID()} }, w.Reload, w.Ready}, w
			} else {
				w, err := worker.StartPool(worker.PoolOptions{Size: 2, Worker: o, Options: hub.Options{OnFault: e.fault}})
				if err != nil {
					t.Fatal(err)
				}
				p, to = parenting{w, w.PIDs, w.Reload, w.Ready}, w.Consumers()
			}
			hear(t, p, map[string]*nemesis.Listener{"one": first, "two": second})
			stop := make(chan struct{})
			stopped := []<-chan struct{}{load(t, one, to, eventtarget.T("mirror", "one"), stop), load(t, two, to, eventtarget.T("mirror", "two"), stop)}
			rng := nemesis.Rand(t)
			var reloads sync.WaitGroup
			for range nemesis.Times(2000) {
				<-time.After(time.Duration(rng.IntN(20)) * time.Millisecond)
				p.mistreat(t, rng, &reloads)
			}
			reloads.Wait()
			close(stop)
			for _, s := range stopped {
				<-s
			}
			e.judge(t, &h)
			_ = p.Close()
			<-p.Done()
		})
	}
}
