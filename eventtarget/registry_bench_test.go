package eventtarget

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// Every benchmark stands beside its floor or its rival in the same run; compare
// the sub-benchmarks of one name.

type snapshotMap map[Topic][]func(context.Context, Event[Raw])

func count(*testing.B) func(context.Context, Event[Raw]) {
	var n uint64
	return func(_ context.Context, e Event[Raw]) { n += uint64(len(e.ID)) }
}

func newBenchRegistry() *Registry[Raw] {
	return NewRegistry[Raw](RegistryOptions{Adapter: "bench"})
}

// BenchmarkInline: Deliver to L Inline listeners on one topic, beside a
// copy-on-write snapshot map with a plain loop.
func BenchmarkInline(b *testing.B) {
	ctx := context.Background()
	e := Event[Raw]{Type: "chat.said", ID: "lobby", Payload: Raw(`"hello"`)}
	for _, listeners := range []int{1, 10, 100, 1000} {
		handlers := make([]func(context.Context, Event[Raw]), listeners) // the same for both
		for i := range handlers {
			handlers[i] = count(b)
		}
		b.Run(fmt.Sprintf("L=%d/floor", listeners), func(b *testing.B) {
			m := snapshotMap{}
			for _, fn := range handlers {
				m[e.Topic()] = append(m[e.Topic()], fn)
			}
			var snapshot atomic.Pointer[snapshotMap]
			snapshot.Store(&m)
			b.ReportAllocs()
			for b.Loop() {
				for _, fn := range (*snapshot.Load())[Topic{e.Type, e.ID}] {
					fn(ctx, e)
				}
			}
		})
		b.Run(fmt.Sprintf("L=%d/registry", listeners), func(b *testing.B) {
			r := newBenchRegistry()
			defer r.Close()
			for _, fn := range handlers {
				mustAdd(b, r, e.Topic(), Listener[Raw]{Handle: fn, Inline: true})
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Deliver(ctx, e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTopics: Deliver to one of 100 000 topics, each with one listener.
func BenchmarkTopics(b *testing.B) {
	const topics = 100_000
	ctx := context.Background()
	ids := make([]string, topics)
	handlers := make([]func(context.Context, Event[Raw]), topics) // the same for both
	for i := range ids {
		ids[i], handlers[i] = "room-"+strconv.Itoa(i), count(b)
	}
	step := func(i int) int { return (i + 61_403) % topics } // far from the last one
	b.Run("floor", func(b *testing.B) {
		m := snapshotMap{}
		for i, id := range ids {
			m[T("chat.said", id)] = append(m[T("chat.said", id)], handlers[i])
		}
		var snapshot atomic.Pointer[snapshotMap]
		snapshot.Store(&m)
		runtime.GC() // what building it left
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = step(i)
			e := Event[Raw]{Type: "chat.said", ID: ids[i]}
			for _, fn := range (*snapshot.Load())[Topic{e.Type, e.ID}] {
				fn(ctx, e)
			}
		}
	})
	b.Run("registry", func(b *testing.B) {
		r := newBenchRegistry()
		defer r.Close()
		for i, id := range ids {
			mustAdd(b, r, T("chat.said", id), Listener[Raw]{Handle: handlers[i], Inline: true})
		}
		runtime.GC() // what building it left
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = step(i)
			if err := r.Deliver(ctx, Event[Raw]{Type: "chat.said", ID: ids[i]}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAddRemove: one Add and Remove while so many topics stand. The figures
// must not grow with the topics.
func BenchmarkAddRemove(b *testing.B) {
	ctx := context.Background()
	for _, topics := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("topics=%d/registry", topics), func(b *testing.B) {
			r := newBenchRegistry()
			defer r.Close()
			for i := range topics {
				mustAdd(b, r, T("chat.said", strconv.Itoa(i)), Listener[Raw]{Handle: count(b), Inline: true})
			}
			b.ReportAllocs()
			for b.Loop() {
				reg, err := r.Add(ctx, T("chat.said", "lobby"), Listener[Raw]{Handle: count(b), Inline: true})
				if err != nil {
					b.Fatal(err)
				}
				r.Remove(reg)
			}
		})
	}
}

// BenchmarkQueued: Deliver to L queued listeners, the deliveries included, beside
// one buffered channel and goroutine per listener. Both lose nothing: a full
// queue, and a full channel, holds the dispatcher up.
func BenchmarkQueued(b *testing.B) {
	const queue = 1024
	ctx := context.Background()
	e := Event[Raw]{Type: "chat.said", ID: "lobby", Payload: Raw(`"hello"`)}
	for _, listeners := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("L=%d/channel", listeners), func(b *testing.B) {
			var wg sync.WaitGroup
			channels := make([]chan Event[Raw], listeners)
			for i := range channels {
				channels[i] = make(chan Event[Raw], queue)
				fn := count(b)
				wg.Go(func() {
					for e := range channels[i] {
						fn(ctx, e)
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, c := range channels {
					c <- e
				}
			}
			for _, c := range channels {
				close(c)
			}
			wg.Wait()
		})
		for name, length := range map[string]int{"registry": queue, "default-queue": 0} {
			b.Run(fmt.Sprintf("L=%d/%s", listeners, name), func(b *testing.B) {
				r := newBenchRegistry()
				for range listeners {
					mustAdd(b, r, e.Topic(), Listener[Raw]{Handle: count(b), Queue: length, Overflow: Block})
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := r.Deliver(ctx, e); err != nil {
						b.Fatal(err)
					}
				}
				if err := r.Shutdown(ctx); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

func mustAdd(tb testing.TB, r *Registry[Raw], topic Topic, l Listener[Raw]) *Registration {
	tb.Helper()
	reg, err := r.Add(context.Background(), topic, l)
	if err != nil {
		tb.Fatal(err)
	}
	return reg
}
