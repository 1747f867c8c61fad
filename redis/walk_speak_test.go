package redis_test

import (
	"fmt"
	"strings"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// speaker is a goroutine that dispatches, one event behind the other.
type speaker struct {
	name string
	at   *walker
	busy chan struct{} // closed when the burst has ended

	mu   sync.Mutex
	sent []sending
}

// sending is an event that somebody dispatched, and whether it was accepted; one that was not
// may have been heard.
type sending struct {
	topic    eventtarget.Topic
	accepted bool
	ended    bool
}

func (w *walk) speaker(name string) *speaker {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.speakers {
		if s.name == name {
			return s
		}
	}
	return nil
}

// burst has a speaker dispatch some events, without waiting for that.
func (w *walk) burst(s *speaker, topics []eventtarget.Topic, together bool) {
	s.busy = make(chan struct{})
	busy, padding := s.busy, 0
	switch {
	case w.crew != nil: // what a spoke is sent when it is back has to fit into half of SpokeBytes
		padding = w.rng.IntN(100)
	case w.one(5):
		padding = w.rng.IntN(20_000)
	}
	next := func(topic eventtarget.Topic) (int, event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := len(s.sent)
		s.sent = append(s.sent, sending{topic: topic})
		return n, event{Type: topic.Type, ID: topic.ID, Payload: fmt.Appendf(nil, "%q", fmt.Sprint(s.name, " ", n, " ", strings.Repeat("x", padding)))}
	}
	ended := func(n int, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent[n].accepted, s.sent[n].ended = err == nil, true
	}
	w.note("%s dispatches %d", s.name, len(topics))
	go func() {
		defer close(busy)
		many, is := s.at.Endpoint.(eventtarget.BatchDispatcher)
		if !together || !is {
			for _, topic := range topics {
				n, e := next(topic)
				ended(n, s.at.Dispatch(w.t.Context(), e))
			}
			return
		}
		var events []event
		var numbers []int
		for _, topic := range topics {
			n, e := next(topic)
			events, numbers = append(events, e), append(numbers, n)
		}
		errs := many.DispatchAll(w.t.Context(), events)
		for i, n := range numbers {
			var err error
			if errs != nil {
				err = errs[i]
			}
			ended(n, err)
		}
	}()
}
