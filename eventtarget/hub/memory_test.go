package hub_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// greeter is a sink that knows sessions.
type greeter struct{ *sink }

func (greeter) Protocol() int { return 1 }

// inUse returns the bytes of heap and of stacks that are in use.
func inUse() (heap, stack float64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.StackInuse)
}

// warmUp makes the runtime allocate what it keeps of so many goroutines when they end.
func warmUp(n int) {
	var all sync.WaitGroup
	end := make(chan struct{})
	for range n {
		all.Go(func() { <-end })
	}
	close(end)
	all.Wait()
}

// BenchmarkIdleSpoke reports what a spoke costs that has heard something, has
// acknowledged it if it has a session, and does nothing. Its connection is the least that
// one can be.
func BenchmarkIdleSpoke(b *testing.B) {
	const spokes, events = 10_000, 100
	warmUp(2 * spokes)
	for _, kind := range []struct{ name, says string }{
		{"plain", `{"type":"first","id":""}`},
		{"session", `{"type":"__hello","id":"","payload":{"version":1}}`},
	} {
		b.Run(kind.name, func(b *testing.B) {
			var heap, stack float64
			for range b.N {
				h, err := hub.New(hub.Options{Heartbeat: -1, OnFault: func(eventtarget.Fault) {}})
				if err != nil {
					b.Fatal(err)
				}
				heapBefore, stackBefore := inUse()
				all := make([]*sink, spokes)
				for n := range all {
					all[n] = newSink(kind.says)
					var conn link.Conn = all[n]
					if kind.name == "session" {
						conn = greeter{all[n]}
					}
					if _, err := h.Attach(conn, hub.Meta{}); err != nil {
						b.Fatal(err)
					}
				}
				for n := range events {
					if err := h.Dispatch(b.Context(), event("n", "", fmt.Sprint(n))); err != nil {
						b.Fatal(err)
					}
				}
				if kind.name == "session" {
					for _, s := range all {
						s.says <- fmt.Appendf(nil, `{"type":"__ack","id":"","payload":{"received":%d}}`, events)
					}
				}
				if _, err := h.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
				heapAfter, stackAfter := inUse()
				heap += (heapAfter - heapBefore) / spokes
				stack += (stackAfter - stackBefore) / spokes
				runtime.KeepAlive(all)
				h.Close()
				<-h.Done()
			}
			b.ReportMetric(heap/float64(b.N), "heap-B/spoke")
			b.ReportMetric(stack/float64(b.N), "stack-B/spoke")
		})
	}
}
