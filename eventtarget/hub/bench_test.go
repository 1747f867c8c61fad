package hub_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// sink is a connection that takes everything at once, and says one thing.
type sink struct {
	says   chan []byte
	closed chan struct{}
	once   sync.Once
}

func newSink(says string) *sink {
	s := &sink{says: make(chan []byte, 1), closed: make(chan struct{})}
	s.says <- []byte(says)
	return s
}

func (s *sink) Receive() ([]byte, error) {
	select {
	case msg := <-s.says:
		return msg, nil
	case <-s.closed:
		return nil, errors.New("closed")
	}
}
func (s *sink) Send([]byte) error                               { return nil }
func (s *sink) Close(eventtarget.Reason) error                  { s.once.Do(func() { close(s.closed) }); return nil }
func (s *sink) TryWriteFrames(frames []byte) (int, bool, error) { return len(frames), false, nil }
func (s *sink) WriteFrames([]byte) error                        { return nil }

// BenchmarkInterest: an event that 10 spokes subscribed to costs the same among 10
// spokes and among 10 000. A Flush of those 10 stands for their delivery.
func BenchmarkInterest(b *testing.B) {
	for _, spokes := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("spokes=%d", spokes), func(b *testing.B) {
			h, err := hub.New(hub.Options{Heartbeat: -1, OnFault: func(eventtarget.Fault) {}})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { h.Close(); <-h.Done() }()
			for n := range spokes {
				topic := "wanted:"
				if n >= 10 {
					topic = fmt.Sprintf("other:%d", n)
				}
				if _, err := h.Attach(newSink(`{"type":"__subscribe","id":"","payload":{"topics":["`+topic+`"]}}`), hub.Meta{}); err != nil {
					b.Fatal(err)
				}
			}
			for s := range h.Spokes() {
				for s.Stats().Sent == 0 { // the answer to the subscription
					if _, err := h.Flush(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
			e := event("wanted", "", `"128 bytes, say"`)
			b.ReportAllocs()
			for b.Loop() {
				if err := h.Dispatch(b.Context(), e); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := h.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
