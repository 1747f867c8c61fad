package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// growthBurst is how many events are under way at a time where it is said to be many.
const growthBurst = 200

// tally counts the events that are heard in a benchmark.
type tally struct {
	taken, goal atomic.Int64
	reached     chan struct{}
}

func newTally() *tally { return &tally{reached: make(chan struct{}, 1)} }

// expect says that so many more are to come.
func (t *tally) expect(events int) { t.goal.Add(int64(events)) }

func (t *tally) take(events int) {
	if t.taken.Add(int64(events)) == t.goal.Load() {
		t.reached <- struct{}{}
	}
}

func (t *tally) await(b *testing.B) {
	b.Helper()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	select {
	case <-t.reached:
	case <-late.C:
		b.Fatalf("%d of %d events have come", t.taken.Load(), t.goal.Load())
	}
}

// sink is a connection in memory that takes everything at once: what is measured is the
// hub, and no network. It may subscribe to topics, whose answer is not tallied.
type sink struct {
	tally  *tally
	says   chan []byte
	answer chan struct{} // closed by the answer to a subscription
	closed chan struct{}
	once   sync.Once
}

func (s *sink) Receive() ([]byte, error) {
	select {
	case msg := <-s.says:
		return msg, nil
	case <-s.closed:
		return nil, errors.New("closed")
	}
}

func (s *sink) Close(eventtarget.Reason) error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *sink) TryWriteFrames(frames []byte) (n int, blocked bool, err error) {
	if s.answer != nil {
		close(s.answer)
		s.answer = nil
	} else {
		s.tally.take(bytes.Count(frames, []byte{marker}))
	}
	return len(frames), false, nil
}

func (s *sink) Send([]byte) error        { return errors.New("frames are written") }
func (s *sink) WriteFrames([]byte) error { return nil }

// sinks joins a sink to a hub for each list of topics. An empty list subscribes to
// nothing, and so hears everything.
func sinks(b *testing.B, h *hub.Hub, t *tally, topics [][]string) {
	b.Helper()
	var answers []chan struct{}
	for _, list := range topics {
		s := &sink{tally: t, says: make(chan []byte, 1), closed: make(chan struct{})}
		if len(list) > 0 {
			s.says <- []byte(`{"type":"__subscribe","id":"","payload":{"topics":["` + strings.Join(list, `","`) + `"]}}`)
			s.answer = make(chan struct{})
			answers = append(answers, s.answer)
		}
		if _, err := h.Attach(s, hub.Meta{}); err != nil {
			b.Fatal(err)
		}
	}
	for _, a := range answers {
		select {
		case <-a:
		case <-time.After(30 * time.Second):
			b.Fatal("a subscription is not answered")
		}
	}
}

func growthHub(b *testing.B) *hub.Hub {
	b.Helper()
	h, err := hub.New(hub.Options{Heartbeat: -1, OnFault: func(eventtarget.Fault) {}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(closeHub(h))
	return h
}

// growthEvents returns an event for each of so many topics.
func growthEvents(topics int) []eventtarget.Event[eventtarget.Raw] {
	all := make([]eventtarget.Event[eventtarget.Raw], topics)
	for i := range all {
		all[i] = eventtarget.Event[eventtarget.Raw]{Type: "bench", ID: strconv.Itoa(i), Payload: eventtarget.Raw(payload())}
	}
	return all
}

// far returns the number of an event whose topic is far from that of the one before.
func far(i, topics int) int { return i * 61_403 % topics }

// cost runs bursts of n dispatches until the time is over and reports what one of them
// takes, until the last one who hears it has it: on the clock, and of all processors.
func cost(b *testing.B, n int, burst func()) {
	b.Helper()
	before := processorTime()
	for b.Loop() {
		burst()
	}
	events := float64(b.N * n)
	b.ReportMetric(float64(b.Elapsed())/events, "ns/dispatch")
	b.ReportMetric(float64(processorTime()-before)/events, "cpu-ns/dispatch")
	b.ReportMetric(0, "ns/op")
}

// through returns a burst of n dispatches through a hub, on one topic after the other,
// each of which so many hear.
func through(b *testing.B, to eventtarget.Target, t *tally, n, hearers int, events []eventtarget.Event[eventtarget.Raw]) func() {
	i := 0
	return func() {
		t.expect(n * hearers)
		for range n {
			if err := to.Dispatch(context.Background(), events[far(i, len(events))]); err != nil {
				b.Fatal(err)
			}
			i++
		}
		t.await(b)
	}
}

// BenchmarkGrowthSpokes: what a dispatch costs with ever more spokes, when 10 of them
// have asked for it and when all have.
func BenchmarkGrowthSpokes(b *testing.B) {
	for _, spokes := range some(10, 30, 100, 300, 1000, 3000, 10_000) {
		for _, interested := range []string{"10", "all"} {
			for _, inFlight := range []int{1, growthBurst} {
				b.Run(fmt.Sprintf("interested=%s/inflight=%d/spokes=%d", interested, inFlight, spokes), func(b *testing.B) {
					h, t, topics, hearers := growthHub(b), newTally(), make([][]string, spokes), spokes
					if interested == "10" {
						hearers = 10
						for n := range topics {
							topics[n] = []string{"bench:" + strconv.Itoa(max(0, n-hearers+1))}
						}
					}
					sinks(b, h, t, topics)
					cost(b, inFlight, through(b, h, t, inFlight, hearers, growthEvents(1)))
				})
			}
		}
	}
}

// BenchmarkGrowthTopics: what a dispatch on one of ever more topics costs, in process
// with one Inline listener for each, and through a hub, of which each spoke has asked for
// 100 of them.
func BenchmarkGrowthTopics(b *testing.B) {
	const each = 100 // topics of a spoke
	for _, topics := range some(1, 10, 100, 1000, 10_000, 100_000) {
		events := growthEvents(topics)
		b.Run(fmt.Sprintf("topics=%d/inprocess", topics), func(b *testing.B) {
			target, heard, sent := inprocess.New[eventtarget.Raw](nil), 0, 0
			defer target.Close()
			for _, e := range events {
				hear(b, target, e.Topic(), eventtarget.Listener[eventtarget.Raw]{
					Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { heard++ },
				})
			}
			cost(b, growthBurst, func() {
				for range growthBurst {
					if err := target.Dispatch(context.Background(), events[far(sent, topics)]); err != nil {
						b.Fatal(err)
					}
					sent++
				}
			})
			if heard != sent {
				b.Fatalf("%d dispatched, %d heard", sent, heard)
			}
		})
		b.Run(fmt.Sprintf("topics=%d/hub", topics), func(b *testing.B) {
			h, t := growthHub(b), newTally()
			lists := make([][]string, (topics+each-1)/each)
			for n := range topics {
				lists[n/each] = append(lists[n/each], "bench:"+strconv.Itoa(n))
			}
			sinks(b, h, t, lists)
			cost(b, growthBurst, through(b, h, t, growthBurst, 1, events))
		})
	}
}

// BenchmarkGrowthListeners: what a dispatch in process costs with ever more listeners on
// its topic, Inline ones and queued ones, which have handled it by then.
func BenchmarkGrowthListeners(b *testing.B) {
	for _, kind := range []string{"inline", "queued"} {
		for _, listeners := range some(1, 3, 10, 30, 100, 300, 1000) {
			b.Run(fmt.Sprintf("listeners=%d/%s", listeners, kind), func(b *testing.B) {
				target, t, events := inprocess.New[eventtarget.Raw](nil), newTally(), growthEvents(1)
				defer target.Close()
				for range listeners {
					var heard int64 // a burst's
					hear(b, target, events[0].Topic(), eventtarget.Listener[eventtarget.Raw]{
						Inline: kind == "inline", Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) {
							if heard++; heard%growthBurst == 0 {
								t.take(growthBurst)
							}
						},
					})
				}
				cost(b, growthBurst, through(b, target, t, growthBurst, listeners, events))
			})
		}
	}
}

func hear(b *testing.B, to eventtarget.Target, topic eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) {
	b.Helper()
	if _, err := to.Add(b.Context(), topic, l); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGrowthHubs: what an event costs that goes through one hub and a Redis backplane
// to the 100 spokes of each of ever more hubs. The hubs are in this process, Redis is not.
func BenchmarkGrowthHubs(b *testing.B) {
	const spokes = 100
	for _, hubs := range some(1, 2, 3) {
		b.Run(fmt.Sprintf("hubs=%d", hubs), func(b *testing.B) {
			server, t := redistest.Start(b), newTally()
			var first *hub.Hub
			for range hubs {
				h := growthHub(b)
				sinks(b, h, t, make([][]string, spokes))
				bus, err := redis.New(server.URL(), nil)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { bus.Close() })
				if _, err := h.Join(b.Context(), bus, nil); err != nil {
					b.Fatal(err)
				}
				if first == nil {
					first = h
				}
			}
			cost(b, growthBurst, through(b, first, t, growthBurst, hubs*spokes, growthEvents(1)))
		})
	}
}
