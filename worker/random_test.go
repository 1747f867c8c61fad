//go:build unix

package worker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
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

// TestRandom: children are killed, stopped, told to end, ended by themselves and reloaded, at
// any time and several at once, while others talk to them. What they answer comes once and in
// order; what is missing is told, and is no more than what they left unfinished; where they are
// only stopped and reloaded nothing is. When all is over nobody is left.
func TestRandom(t *testing.T) {
	for _, kind := range []string{"worker", "pool"} {
		t.Run(kind, func(t *testing.T) {
			nemesis.Walk(t, 3, func(t *testing.T, seed uint64) {
				w := &walk{t: t, rng: rand.New(rand.NewPCG(seed, 0)), seen: make(map[int]bool), begun: time.Now()} //nolint:gosec // tests need no secret
				w.start(kind)
				w.happens()
				w.over()
			})
		})
	}
}

// walk is one of them.
type walk struct {
	t      *testing.T
	rng    *rand.Rand
	gentle bool // nothing happens with which anything may be lost
	begun  time.Time
	ends   *ends
	target interface {
		eventtarget.Endpoint
		Ready(ctx context.Context) error
		Reload(ctx context.Context) error
	}
	to    eventtarget.Target // what is talked to
	pids  func() []int
	stop  func() // the talk
	h     nemesis.History
	talk  map[string]*nemesis.Publisher // by the id that it is about
	heard map[string]*nemesis.Listener
	going sync.WaitGroup // what was begun and goes on

	mu    sync.Mutex
	seen  map[int]bool // processes that were children
	told  int          // faults
	trace []string
}

func (w *walk) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%7.3f ", time.Since(w.begun).Seconds())+fmt.Sprintf(format, args...))
}

func (w *walk) one(of int) bool { return w.rng.IntN(of) == 0 }

// options are those of the children.
func (w *walk) options() worker.Options {
	o := worker.Options{Log: quiet, Restart: worker.Always, Options: link.Options{Backoff: atOnce, Overflow: eventtarget.Block, OnFault: w.ends.fault}}
	if w.gentle = w.one(3); !w.gentle {
		o.TermTimeout = []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, 5 * time.Second}[w.rng.IntN(3)]
		o.KillTimeout = 100 * time.Millisecond
	}
	if w.one(2) {
		o.LogBytes = 16 << 10
	}
	return self(w.t, "works", o)
}

// start starts children, and talks to them.
func (w *walk) start(kind string) {
	var listeners []*nemesis.Listener
	w.ends = newEnds(func(f eventtarget.Fault) {
		w.note("%v", f)
		w.mu.Lock()
		w.told++
		w.mu.Unlock()
		for _, l := range listeners {
			l.Fault(f)
		}
	})
	w.heard, w.talk = make(map[string]*nemesis.Listener), make(map[string]*nemesis.Publisher)
	for n := range 1 + w.rng.IntN(4) {
		id := strconv.Itoa(n)
		w.talk[id] = w.h.Publisher(id)
		w.heard[id] = w.h.Listener("parent of "+id, w.talk[id])
		listeners = append(listeners, w.heard[id])
	}
	o := w.options()
	if kind == "worker" {
		one, err := worker.Start(o)
		if err != nil {
			w.t.Fatal(err)
		}
		w.target, w.to, w.pids = one, one, func() []int { return []int{one.PID()} }
	} else {
		p, err := worker.StartPool(worker.PoolOptions{Size: 1 + w.rng.IntN(3), Worker: o, Options: hub.Options{OnFault: w.ends.fault}})
		if err != nil {
			w.t.Fatal(err)
		}
		w.target, w.to, w.pids = p, p.Consumers(), p.PIDs
	}
	w.t.Cleanup(func() { // however it went
		_ = w.target.Close()
		<-w.target.Done()
		if w.t.Failed() {
			w.t.Log(strings.Join(w.trace, "\n"))
		}
	})
	hear(w.t, w.target, w.heard)
	w.note("%s: gentle %t, %d topics, log of %d, %v and %v to end", kind, w.gentle, len(w.talk), o.LogBytes, o.TermTimeout, o.KillTimeout)
	w.ready()
	stop := make(chan struct{})
	var stopped []<-chan struct{}
	for id, from := range w.talk {
		stopped = append(stopped, load(w.t, from, w.to, eventtarget.T("mirror", id), stop))
	}
	w.stop = func() {
		close(stop)
		for _, s := range stopped {
			<-s
		}
	}
}

// within returns a context for what must not take long.
func (w *walk) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.t.Context(), 30*time.Second)
}

// ready waits until there are children.
func (w *walk) ready() {
	ctx, cancel := w.within()
	defer cancel()
	for ctx.Err() == nil {
		if err := w.target.Ready(ctx); err == nil {
			return
		}
	}
	w.t.Fatal("they do not become ready")
}

// child returns one of the processes.
func (w *walk) child() int {
	pids := w.pids()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pid := range pids {
		w.seen[pid] = true
	}
	return pids[w.rng.IntN(len(pids))]
}

// happens is what happens to them.
func (w *walk) happens() {
	for range 3 + w.rng.IntN(15) {
		if w.one(3) {
			w.ready()
		}
		<-time.After(time.Duration(w.rng.IntN(30_000)) * time.Microsecond)
		switch pid := w.child(); {
		case pid == 0: // there is none yet
		case w.one(3):
			w.reload()
		case w.gentle || w.one(4):
			long := time.Duration(w.rng.IntN(100)) * time.Millisecond
			w.note("%d stops for %v", pid, long)
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			time.AfterFunc(long, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		case w.one(3):
			w.note("%d exits", pid)
			_ = w.to.Dispatch(w.t.Context(), event{Type: "die", ID: strconv.Itoa(w.rng.IntN(2))})
		default:
			signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[w.rng.IntN(2)]
			w.note("%d: %v", pid, signal)
			_ = syscall.Kill(pid, signal)
		}
	}
}

// reload reloads them, and waits for the end of it or not.
func (w *walk) reload() {
	over := make(chan struct{})
	w.note("reload")
	w.going.Go(func() {
		defer close(over)
		ctx, cancel := w.within()
		defer cancel()
		err := w.target.Reload(ctx)
		w.note("reloaded: %v", err)
		if ctx.Err() != nil || w.gentle && err != nil {
			w.t.Errorf("reload: %v", err)
		}
	})
	if w.one(2) {
		<-over
	}
}

// lastWords says something more of everything until it is heard: what was before is, too, or is
// lost.
func (w *walk) lastWords() {
	for id, from := range w.talk {
		for began := time.Now(); !w.heard[id].UpToDate(from); {
			if time.Since(began) > 30*time.Second {
				w.t.Fatalf("nobody answers about %s", id)
			}
			if err := from.Dispatch(w.t.Context(), w.to, eventtarget.T("mirror", id)); err != nil {
				w.t.Fatal(err)
			}
			for soon := time.Now().Add(100 * time.Millisecond); !w.heard[id].UpToDate(from) && time.Now().Before(soon); {
				<-time.After(time.Millisecond)
			}
		}
	}
}

// over ends it, and looks at what was heard.
func (w *walk) over() {
	w.note("over")
	w.stop()
	w.going.Wait()
	w.ready()
	w.lastWords()
	w.child()
	w.ends.judge(w.t, &w.h)
	ctx, cancel := w.within()
	defer cancel()
	if err := w.target.Shutdown(ctx); err != nil {
		w.t.Errorf("shutdown: %v", err)
	}
	w.mu.Lock()
	if w.gentle && w.told > 0 {
		w.t.Errorf("%d faults", w.told)
	}
	w.mu.Unlock()
	for pid := range w.seen {
		awaitGone(w.t, pid)
	}
}
