package conformance

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// RunBenchmarks measures what every adapter is measured by, on the rigs of the
// harness that [Run] takes:
//
//	OneWay/0to1/128B   an event from endpoint 0 to 1, with payloads of 128 bytes
//	                   and 1 KiB, for each kind of pair that the topology has
//	RoundTrip          an event there and one back, one at a time
//	FanOut/8           hubs only: an event from the hub to each of so many spokes, and of 64
//
// A figure covers everything up to the moment at which the last event was heard:
// a bounded number of events is under way, and the clock stops when there is none.
// A benchmark in which nothing is heard for the harness's Timeout fails.
func RunBenchmarks(b *testing.B, h Harness) {
	var ways [][2]int
	ask(b, h, func(m *measurement) { ways = m.rig(3).ways() })
	for _, way := range ways {
		for _, size := range []int{128, 1 << 10} {
			measure(b, h, fmt.Sprintf("OneWay/%dto%d/%dB", way[0], way[1], size), func(m *measurement) {
				m.oneWay(way[0], way[1], size)
			})
		}
	}
	measure(b, h, "RoundTrip", (*measurement).roundTrip)
	if h.Caps.Topology == Hub {
		for _, spokes := range []int{8, 64} {
			measure(b, h, fmt.Sprintf("FanOut/%d", spokes), func(m *measurement) { m.fanOut(spokes) })
		}
	}
}

// measurement is a T that measures: a law that never ends as long as it is kept
// alive.
type measurement struct {
	*T
	b     *testing.B
	alive func()
}

func measure(b *testing.B, h Harness, name string, fn func(*measurement)) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		ask(b, h, fn)
	})
}

// ask runs fn, and fails b where a law would fail.
func ask(b *testing.B, h Harness, fn func(*measurement)) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	limit := h.timeout()
	watchdog := time.AfterFunc(limit, cancel)
	defer watchdog.Stop()
	t := &T{Harness: h, ctx: ctx, law: Law{ID: "bench"}}
	func() {
		defer t.cleanUp()
		t.do(func() { fn(&measurement{T: t, b: b, alive: func() { watchdog.Reset(limit) }}) })
	}()
	if r := t.result(0); r.Outcome != Passed {
		b.Fatal(r.Detail)
	}
}

func (m *measurement) oneWay(from, to, size int) {
	s := m.stream(m.rig(max(from, to)+1), from, []int{to}, size)
	m.b.SetBytes(int64(size))
	for m.b.Loop() {
		s.send()
	}
	m.b.StartTimer()
	s.flush()
	m.b.StopTimer()
}

func (m *measurement) fanOut(spokes int) {
	const size = 128
	r := m.rig(spokes + 1)
	var all []int
	for i := range spokes {
		all = append(all, i+1)
	}
	s := m.stream(r, 0, all, size)
	m.b.SetBytes(int64(spokes * size))
	for m.b.Loop() {
		s.send()
	}
	m.b.StartTimer()
	s.flush()
	m.b.StopTimer()
	m.b.ReportMetric(float64(s.sent*spokes)/m.b.Elapsed().Seconds(), "deliveries/s")
}

func (m *measurement) roundTrip() {
	r := m.rig(2)
	i, j := r.cell()
	if !r.Reaches(j, i) {
		m.b.Skipf("endpoint %d does not reach %d", j, i)
	}
	there := event{Type: m.name(), Payload: text(128)}
	back := event{Type: m.name(), Payload: there.Payload}
	heard := make(chan struct{}, 1)
	r.add(j, there.Topic(), eventtarget.Listener[raw]{Inline: true, Handle: func(ctx context.Context, _ event) {
		if err := r.Endpoints[j].Dispatch(ctx, back); err != nil {
			m.Errorf("Dispatch of an answer: %v", err)
		}
	}})
	r.add(i, back.Topic(), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, event) {
		heard <- struct{}{}
	}})
	for m.b.Loop() {
		r.dispatch(i, there)
		m.await("an answer is heard", heard)
		m.alive()
	}
}

// window is how many events of a stream are under way at most: enough to keep a
// connection busy, and below every default limit.
const window = 1024

// stream is events from one endpoint to some others, all of the same kind.
type stream struct {
	m     *measurement
	rig   *rig
	from  int
	event event
	end   event
	sent  int
	heard []chan struct{} // of each receiver: a mark for each half window
	ended []chan struct{} // of each receiver: closed by end
}

func (m *measurement) stream(r *rig, from int, to []int, size int) *stream {
	s := &stream{m: m, rig: r, from: from, event: event{Type: m.name(), ID: "x", Payload: text(size)}, end: event{Type: m.name()}}
	for _, j := range to {
		heard, ended := make(chan struct{}, 4), make(chan struct{})
		end := sync.OnceFunc(func() { close(ended) })
		var n atomic.Int64
		r.add(j, s.event.Topic(), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, event) {
			if n.Add(1)%(window/2) == 0 {
				heard <- struct{}{}
			}
		}})
		r.add(j, s.end.Topic(), eventtarget.Listener[raw]{Inline: true, Once: true, Handle: func(context.Context, event) {
			end()
		}})
		s.heard, s.ended = append(s.heard, heard), append(s.ended, ended)
	}
	return s
}

// text is a JSON string of so many bytes.
func text(size int) raw { return raw(`"` + strings.Repeat("x", size-2) + `"`) }

// send dispatches one event, when the window has room for it.
func (s *stream) send() {
	if s.sent >= window && s.sent%(window/2) == 0 {
		s.await("half a window of events is heard", s.heard)
	}
	s.rig.dispatch(s.from, s.event)
	s.sent++
}

// flush returns when all that was sent is heard: what follows it is.
func (s *stream) flush() {
	s.rig.dispatch(s.from, s.end)
	s.await("the last event is heard", s.ended)
}

func (s *stream) await(what string, all []chan struct{}) {
	for _, c := range all {
		s.m.await(what, c)
	}
	s.m.alive()
}
