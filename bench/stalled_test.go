package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

const (
	watchEnv = "BENCH_WATCH"

	watchers  = 100
	watchRate = 2000 // events in a second
	stampSize = 19   // digits of a time in nanoseconds
)

var (
	watchSeconds = fromEnv("BENCH_SECONDS", 3)
	watchCount   = watchSeconds * watchRate
)

// BenchmarkOneStalled: how long events are on their way to 100 spokes at 2000 events in
// a second, when all of them read and when one does not, which stays, or is cut after a
// second.
func BenchmarkOneStalled(b *testing.B) {
	for _, stalled := range []string{"all-read", "one-stays", "one-is-cut"} {
		b.Run(stalled, func(b *testing.B) {
			for b.Loop() {
				watch(b, stalled != "all-read", stalled == "one-is-cut")
			}
		})
	}
}

func watch(b *testing.B, stalls, cut bool) {
	o, joined := count(watchers)
	o.Heartbeat = -1 // nobody answers pings
	o.WriteTimeout = time.Hour
	if cut {
		o.WriteTimeout = time.Second
	}
	var stalled atomic.Pointer[hub.Spoke]
	counted := o.OnConnect
	o.OnConnect = func(s *hub.Spoke) {
		if strings.HasSuffix(s.Path(), "stalled") {
			stalled.Store(s)
		}
		counted(s)
	}
	h, err := wsserver.New(&wsserver.Options{Options: o})
	if err != nil {
		b.Fatal(err)
	}
	defer closeHub(h.Hub)()
	addr, stop := serve(b, h, false)
	defer stop()
	c := start(b, watchEnv, fmt.Sprintf("%s %v", addr, stalls))
	c.expect("up")
	<-joined
	pace(b, h.Hub, 10*watchRate, func(sent int) (stamped, more bool) { // until the buffers of the kernel are full
		if sent > 10*watchCount {
			b.Fatal("the stalled spoke takes everything")
		}
		s := stalled.Load()
		return false, sent < watchRate || s != nil && s.Stats().Waiting < watchRate
	})
	pace(b, h.Hub, watchRate, func(sent int) (stamped, more bool) { return false, sent < watchRate })
	used, begin := processorTime(), time.Now()
	pace(b, h.Hub, watchRate, func(sent int) (stamped, more bool) { return true, sent < watchCount })
	// Before the clients leave, and it with them.
	switch s := stalled.Load(); {
	case s == nil:
	case cut != (s.State() == eventtarget.StateClosed):
		b.Fatalf("the stalled spoke is %v", s.State())
	case !cut && s.Stats().Waiting < uint64(watchCount):
		b.Fatalf("the stalled spoke has been sent all but %d events", s.Stats().Waiting)
	}
	var p50, p99, most float64
	if _, err := fmt.Sscan(c.expect("waited"), &p50, &p99, &most); err != nil {
		b.Fatal(err)
	}
	busy := float64(processorTime()-used) / float64(time.Since(begin))
	c.wait()
	b.ReportMetric(p50/1e3, "p50-us")
	b.ReportMetric(p99/1e3, "p99-us")
	b.ReportMetric(most/1e3, "max-us")
	b.ReportMetric(100*busy, "cpu-%")
	b.ReportMetric(0, "ns/op") // the pace
}

// pace dispatches so many events in a second, as long as next says, each with the time
// of its dispatch if it is stamped.
func pace(b *testing.B, h *hub.Hub, rate int, next func(sent int) (stamped, more bool)) {
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	begin, sent := time.Now(), 0
	for {
		due := int(time.Since(begin).Seconds() * float64(rate))
		for ; sent < due; sent++ {
			stamped, more := next(sent)
			if !more {
				return
			}
			at := int64(0)
			if stamped {
				at = time.Now().UnixNano()
			}
			if err := h.Dispatch(context.Background(), stampedEvent(at)); err != nil {
				b.Error(err)
			}
		}
		<-tick.C
	}
}

// stampedEvent is as long as any other, and begins with a time.
func stampedEvent(at int64) eventtarget.Event[eventtarget.Raw] {
	text := []byte(payload())
	copy(text[1:], fmt.Sprintf("%0*d", stampSize, at))
	return eventtarget.Event[eventtarget.Raw]{Type: "bench", ID: "x", Payload: text}
}

// watcher is the other end of watch.
func watcher(spec string) error {
	var addr string
	var stalls bool
	if _, err := fmt.Sscan(spec, &addr, &stalls); err != nil {
		return err
	}
	type result struct {
		waited []int64
		err    error
	}
	results := make(chan result, watchers)
	begin := make(chan struct{})
	reading := 0
	for i := range watchers {
		path := "/ws"
		if stalls && i == 0 {
			path = "/ws/stalled"
		}
		c, r, err := enter(addr, path)
		if err != nil {
			return err
		}
		if path != "/ws" {
			defer c.Close() // it stays, and nobody reads
			if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
				return err
			}
			continue
		}
		reading++
		go func() {
			<-begin
			waited, err := stamps(r)
			results <- result{waited, err}
		}()
	}
	fmt.Println("up")
	close(begin)
	var all []int64
	var errs []error
	for range reading {
		r := <-results
		all, errs = append(all, r.waited...), append(errs, r.err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	slices.Sort(all)
	fmt.Println("waited", all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
	return nil
}

// stamps reads the stamped events of one round and returns how long each was on its
// way.
func stamps(r io.Reader) ([]int64, error) {
	size := len(frame())
	at := size - len(`}`) - payloadSize + len(`"`)
	buf, waited := make([]byte, size), make([]int64, 0, watchCount)
	for len(waited) < watchCount {
		if _, err := io.ReadFull(r, buf); err != nil {
			return nil, err
		}
		now := time.Now().UnixNano()
		stamp, err := strconv.ParseInt(string(buf[at:at+stampSize]), 10, 64)
		if err != nil {
			return nil, err
		}
		if stamp != 0 {
			waited = append(waited, now-stamp)
		}
	}
	return waited, nil
}
