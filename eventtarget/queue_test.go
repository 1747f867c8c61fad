package eventtarget_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// sink is a queued listener's, which can be held up, and what it heard.
type sink struct {
	gate  chan struct{} // closed: the listener runs
	heard []string
}

func (s *sink) listener(queue int, o eventtarget.Overflow) eventtarget.Listener[raw] {
	return eventtarget.Listener[raw]{Queue: queue, Overflow: o, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
		<-s.gate
		s.heard = append(s.heard, string(e.Payload))
	}}
}

func numbers(from, to int) []string {
	var s []string
	for i := from; i <= to; i++ {
		s = append(s, strconv.Itoa(i))
	}
	return s
}

// TestSharedLog: listeners of one topic have their events in one place, and still each
// drops what its own queue and policy say, and hears the rest in order.
func TestSharedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := eventtarget.NewRegistry[raw](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
		topic := eventtarget.T("a", "")
		held, free := make(chan struct{}), make(chan struct{})
		close(free)
		const last = 300 // several chunks
		for name, c := range map[string]struct {
			gate    chan struct{}
			queue   int
			policy  eventtarget.Overflow
			want    []string
			dropped uint64
		}{
			"newest": {held, 10, eventtarget.DropNewest, numbers(1, 11), last - 11},
			"oldest": {held, 10, eventtarget.DropOldest, append(numbers(1, 1), numbers(last-9, last)...), last - 11},
			"all":    {held, 0, eventtarget.DropNewest, numbers(1, last), 0},
			"quick":  {free, 1, eventtarget.Block, numbers(1, last), 0},
		} {
			s := &sink{gate: c.gate}
			reg, err := r.Add(t.Context(), topic, s.listener(c.queue, c.policy))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if !slices.Equal(s.heard, c.want) || reg.Dropped() != c.dropped {
					t.Errorf("%s: heard %v and dropped %d, not %v and %d", name, s.heard, reg.Dropped(), c.want, c.dropped)
				}
			}()
		}
		for _, n := range numbers(1, last) {
			if err := r.Deliver(t.Context(), eventtarget.Event[raw]{Type: "a", Payload: raw(n)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is in their hands before the second comes
		}
		close(held)
		if err := r.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestQueueBytes: by default what waits is bounded in bytes, too, by each policy, but one event
// always has room; a queue of a length that was asked for is as long as that.
func TestQueueBytes(t *testing.T) {
	const size, last = 1 << 20, 100
	const fit = eventtarget.DefaultQueueBytes/size + 2 // with the one that is being handled, and the last
	payload, huge := make(raw, size), make(raw, 2*eventtarget.DefaultQueueBytes)
	numbered := func(n int, payload raw) eventtarget.Event[raw] {
		return eventtarget.Event[raw]{Type: "a", Payload: payload, Headers: map[string]string{"n": strconv.Itoa(n)}}
	}
	for name, c := range map[string]struct {
		queue  int
		policy eventtarget.Overflow
		want   []string
	}{
		"newest": {0, eventtarget.DropNewest, numbers(1, fit)},
		"oldest": {0, eventtarget.DropOldest, append(numbers(1, 1), numbers(last-fit+2, last)...)},
		"block":  {0, eventtarget.Block, numbers(1, last)},
		"asked":  {last, eventtarget.DropNewest, numbers(1, last)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := eventtarget.NewRegistry[raw](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
				held := make(chan struct{})
				var heard []string
				reg, err := r.Add(t.Context(), eventtarget.T("a", ""), eventtarget.Listener[raw]{Queue: c.queue, Overflow: c.policy, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
					<-held
					heard = append(heard, e.Headers["n"])
				}})
				if err != nil {
					t.Fatal(err)
				}
				waited := 0
				deliver := func(n int) {
					began := time.Now()
					if err := r.Deliver(t.Context(), numbered(n, payload)); err != nil {
						t.Error(err)
					}
					if time.Since(began) > 0 && waited == 0 {
						waited = n
					}
				}
				deliver(1)
				synctest.Wait() // it is in the listener's hands
				go func() {
					for n := 2; n <= last; n++ {
						deliver(n)
					}
				}()
				synctest.Wait()
				time.Sleep(time.Second)
				close(held)
				synctest.Wait()
				if want := map[bool]int{true: fit + 1}[name == "block"]; waited != want {
					t.Errorf("event %d is the first that waited, not %d", waited, want)
				}
				if err := r.Deliver(t.Context(), numbered(1, huge)); err != nil {
					t.Error(err)
				}
				if err := r.Shutdown(t.Context()); err != nil {
					t.Fatal(err)
				}
				if want := append(c.want, "1"); !slices.Equal(heard, want) || int(reg.Dropped()) != last+1-len(want) {
					t.Errorf("heard %v and dropped %d, not %v", heard, reg.Dropped(), want)
				}
			})
		})
	}
}

// TestRoom: a queue that was full and was emptied takes as many again, many times over.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := eventtarget.NewRegistry[raw](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
		s := &sink{gate: make(chan struct{}, 1000)}
		if _, err := r.Add(t.Context(), eventtarget.T("a", ""), s.listener(3, eventtarget.DropNewest)); err != nil {
			t.Fatal(err)
		}
		var want []string
		for round := range 50 {
			for i := range 6 { // one in the hand, three wait, two are dropped
				n := fmt.Sprint(round, ".", i)
				if i < 4 {
					want = append(want, n)
				}
				if err := r.Deliver(t.Context(), eventtarget.Event[raw]{Type: "a", Payload: raw(n)}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			for range 4 {
				s.gate <- struct{}{}
			}
			synctest.Wait()
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.heard, want) {
			t.Errorf("heard %v, not %v", s.heard, want)
		}
	})
}

// TestNothingKept: what was handled is not kept from the garbage collector by a registry
// that is idle.
func TestNothingKept(t *testing.T) {
	type big [1 << 10]byte
	r := eventtarget.NewRegistry[*big](eventtarget.RegistryOptions{})
	defer r.Close()
	for range 3 {
		if _, err := r.Add(t.Context(), eventtarget.T("a", ""), eventtarget.Func(func(context.Context, eventtarget.Event[*big]) {})); err != nil {
			t.Fatal(err)
		}
	}
	var payloads []weak.Pointer[big]
	for range 100 {
		p := new(big)
		payloads = append(payloads, weak.Make(p))
		if err := r.Deliver(t.Context(), eventtarget.Event[*big]{Type: "a", Payload: p}); err != nil {
			t.Fatal(err)
		}
	}
	<-r.Idle()
	runtime.GC()
	for i, p := range payloads {
		if p.Value() != nil {
			t.Errorf("payload %d is still there", i)
		}
	}
}

// TestManyTopics: topics come and go while others are delivered to; those that stand
// are found all the time.
func TestManyTopics(t *testing.T) {
	r := eventtarget.NewRegistry[raw](eventtarget.RegistryOptions{})
	defer r.Close()
	const standing, others = 20, 2000
	var heard int
	add := func(id string) *eventtarget.Registration {
		reg, err := r.Add(context.Background(), eventtarget.T("a", id), eventtarget.Listener[raw]{
			Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { heard++ },
		})
		if err != nil {
			t.Error(err)
		}
		return reg
	}
	for i := range standing {
		add("standing-" + strconv.Itoa(i))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		order := rand.New(rand.NewPCG(1, 2))
		for range 3 {
			regs := make([]*eventtarget.Registration, others)
			for i := range regs {
				regs[i] = add(strconv.Itoa(i))
			}
			for _, i := range order.Perm(others) {
				if !r.Remove(regs[i]) {
					t.Errorf("topic %d was not there", i)
				}
			}
		}
	})
	const rounds = 2000
	for i := range rounds * standing {
		if err := r.Deliver(t.Context(), eventtarget.Event[raw]{Type: "a", ID: "standing-" + strconv.Itoa(i%standing)}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if heard != rounds*standing {
		t.Errorf("heard %d of %d", heard, rounds*standing)
	}
	if n := r.Len(); n != standing {
		t.Errorf("%d are left, not %d", n, standing)
	}
}

// TestDefaultQueue: of what waits by default there is never more than DefaultQueue says, and not
// less than that by more than what the worker takes together.
func TestDefaultQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := eventtarget.NewRegistry[raw](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) {}})
		heard, proceed := 0, make(chan struct{})
		reg, err := r.Add(t.Context(), eventtarget.T("a", ""), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {
			heard++
			<-proceed
		}))
		if err != nil {
			t.Fatal(err)
		}
		given := 0
		deliver := func(n int) {
			for range n {
				if err := r.Deliver(t.Context(), eventtarget.Event[raw]{Type: "a"}); err != nil {
					t.Fatal(err)
				}
				given++
			}
			synctest.Wait()
		}
		deliver(1000)
		for range 500 { // so that the worker has some together
			proceed <- struct{}{}
			synctest.Wait()
		}
		for range 40 {
			deliver(eventtarget.DefaultQueue)
			if waits := given - int(reg.Dropped()) - heard; waits > eventtarget.DefaultQueue || waits < eventtarget.DefaultQueue-15 {
				t.Fatalf("%d wait", waits)
			}
			proceed <- struct{}{}
			synctest.Wait()
		}
		close(proceed)
		if err := r.Shutdown(t.Context()); err != nil || heard != given-int(reg.Dropped()) {
			t.Errorf("%v; of %d %d were dropped, %d heard", err, given, reg.Dropped(), heard)
		}
	})
}
