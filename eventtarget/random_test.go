package eventtarget_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// TestRandomRegistry: whatever several goroutines do to a registry at once, while its listeners
// return, panic, end their goroutines and leave: each hears what is for it in the order of each
// dispatcher, or its policy has dropped it, and that is counted; an event is behind the registry
// once, and not before who hears it has returned.
func TestRandomRegistry(t *testing.T) {
	nemesis.Walk(t, 20, func(t *testing.T, seed uint64) {
		c := &crowd{t: t, rng: rand.New(rand.NewPCG(seed, 0))}
		c.stretch = 1 + c.rng.IntN(letters)
		c.registry = eventtarget.NewRegistry[letter](eventtarget.RegistryOptions{OnFault: c.fault})
		for n := range 2 + c.rng.IntN(5) {
			c.add(true, uint64(n))
		}
		c.run()
		if c.rng.IntN(3) == 0 {
			c.registry.Close()
		} else if err := c.registry.Shutdown(t.Context()); err != nil {
			t.Error(err)
		} else {
			c.drained = true
		}
		<-c.registry.Done()
		c.check()
	})
}

const (
	writers = 3
	letters = 150
)

// letter is an event's payload: who dispatches it, and its number there.
type letter struct{ writer, number int }

// crowd is a registry with listeners, and those who dispatch to it.
type crowd struct {
	t        *testing.T
	rng      *rand.Rand
	registry *eventtarget.Registry[letter]
	drained  bool
	stretch  int // how many events in a row are awaited, or are not
	behind   [writers][letters]atomic.Int32
	failed   [writers][letters]error
	panics   atomic.Int64 // and ends of goroutines, of listeners
	told     atomic.Int64
	stays    []*reader
}

// reader is a listener.
type reader struct {
	eventtarget.Listener[letter]
	reg  *eventtarget.Registration
	mu   sync.Mutex
	got  []letter
	busy bool
}

func (c *crowd) fault(f eventtarget.Fault) {
	if f.Kind == eventtarget.FaultPanic {
		c.told.Add(1)
	}
}

func (c *crowd) add(stays bool, seed uint64) *reader {
	rng := rand.New(rand.NewPCG(seed, c.rng.Uint64()))
	r := &reader{}
	topic := eventtarget.T("a", []string{"1", "*"}[rng.IntN(2)])
	if r.Inline = rng.IntN(4) == 0; !r.Inline {
		r.Queue = 1 + rng.IntN(20)
		r.Overflow = []eventtarget.Overflow{eventtarget.DropNewest, eventtarget.Block, eventtarget.DropOldest}[rng.IntN(3)]
	}
	r.Once = !stays && rng.IntN(2) == 0
	misbehaves, added := rng.IntN(2) == 0, make(chan struct{})
	r.Handle = func(_ context.Context, e eventtarget.Event[letter]) {
		<-added
		r.mu.Lock()
		if r.busy && !r.Inline {
			c.t.Error("called twice at the same time")
		}
		r.busy = true
		r.got = append(r.got, e.Payload)
		what := e.Payload.number * (1 + int(seed)) % 40
		r.mu.Unlock()
		for range what {
			runtime.Gosched()
		}
		l := e.Payload
		if stays && c.behind[l.writer][l.number].Load() > 0 {
			c.t.Errorf("%v is behind the registry while it is heard", l)
		}
		r.mu.Lock()
		r.busy = false
		r.mu.Unlock()
		if misbehaves && !r.Inline && what == 7 {
			c.panics.Add(1)
			runtime.Goexit()
		}
		if misbehaves && what == 9 {
			c.panics.Add(1)
			panic("oh")
		}
		if !stays && what == 11 {
			c.registry.Remove(r.reg)
		}
	}
	var err error
	r.reg, err = c.registry.Add(c.t.Context(), topic, r.Listener)
	close(added)
	if err != nil {
		c.t.Error(err)
	}
	if stays && !r.Inline && rng.IntN(2) == 0 { // nobody dispatches yet
		eventtarget.ClaimTogether[letter](r.reg, 1+rng.IntN(16))
	}
	if stays {
		c.stays = append(c.stays, r)
	}
	return r
}

// run has all dispatch at once, while others come and go.
func (c *crowd) run() {
	var wg sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		wg.Go(func() {
			for n := range letters {
				e := eventtarget.Event[letter]{Type: "a", ID: "1", Payload: letter{w, n}}
				if c.awaited(n) {
					c.failed[w][n] = c.registry.DeliverThen(c.t.Context(), e, func() { c.behind[w][n].Add(1) })
				} else {
					c.failed[w][n] = c.registry.Deliver(c.t.Context(), e)
				}
			}
		})
	}
	others := make(chan struct{})
	go func() {
		defer close(others)
		for seed := uint64(100); ; seed++ {
			r := c.add(false, seed)
			for range 20 {
				runtime.Gosched()
			}
			c.registry.Remove(r.reg)
			select {
			case <-done:
				return
			case <-r.reg.Done():
			}
		}
	}()
	wg.Wait()
	close(done)
	<-others
}

// awaited tells whether anybody is to hear when an event is behind it: for some stretches of them.
func (c *crowd) awaited(n int) bool { return n/c.stretch%2 == 0 }

func (c *crowd) check() {
	for w := range writers {
		for n := range letters {
			err, behind := c.failed[w][n], c.behind[w][n].Load()
			if err != nil && !errors.Is(err, eventtarget.ErrOverflow) {
				c.t.Errorf("%d of %d: %v", n, w, err)
			}
			if behind > 1 || c.drained && c.awaited(n) && behind == 0 {
				c.t.Errorf("%d of %d is behind it %d times", n, w, behind)
			}
		}
	}
	for _, r := range c.stays {
		heard := make([][]int, writers)
		for _, l := range r.got {
			heard[l.writer] = append(heard[l.writer], l.number)
		}
		for w, numbers := range heard {
			if !slices.IsSorted(numbers) || len(slices.Compact(slices.Clone(numbers))) != len(numbers) {
				c.t.Errorf("of %d was heard %v", w, numbers)
			}
		}
		if all := uint64(len(r.got)) + r.reg.Dropped(); all > writers*letters || c.drained && all != writers*letters {
			c.t.Errorf("%v: %d heard and %d dropped of %d", r.Overflow, len(r.got), r.reg.Dropped(), writers*letters)
		}
		if (r.Overflow == eventtarget.Block || r.Inline) && r.reg.Dropped() > 0 {
			c.t.Errorf("%d were dropped", r.reg.Dropped())
		}
	}
	if c.told.Load() != c.panics.Load() {
		c.t.Errorf("%d panics, and %d are told", c.panics.Load(), c.told.Load())
	}
}
