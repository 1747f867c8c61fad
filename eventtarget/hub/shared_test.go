package hub_test

import (
	"context"
	"iter"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// sharedLog is a log that hubs in this process have in common.
type sharedLog struct {
	mu      sync.Mutex
	records []hub.Record
	grown   chan struct{} // closed and replaced when there is more
}

func newSharedLog() *sharedLog { return &sharedLog{grown: make(chan struct{})} }

// open returns a hub's way to it.
func (l *sharedLog) open() *sharedStore { return &sharedStore{log: l} }

type sharedStore struct {
	log *sharedLog
	at  int
}

func (s *sharedStore) Append(records []hub.Record) error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for _, r := range records {
		r.Seq = uint64(len(s.log.records)) + 1
		s.log.records = append(s.log.records, r)
	}
	close(s.log.grown)
	s.log.grown = make(chan struct{})
	return nil
}

// next returns the record behind what was read, or what to wait for.
func (s *sharedStore) next() (r hub.Record, ok bool, grown <-chan struct{}) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if s.at == len(s.log.records) {
		return r, false, s.log.grown
	}
	s.at++
	return s.log.records[s.at-1], true, nil
}

func (s *sharedStore) Restore() iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		for r, ok, _ := s.next(); ok; r, ok, _ = s.next() {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *sharedStore) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		for {
			r, ok, grown := s.next()
			if ok {
				if !yield(r, nil) {
					return
				}
				continue
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
		}
	}
}

// TestConformanceShared: hubs that have a log in common keep the laws of one, sessions
// too, although every connection is to another of them.
func TestConformanceShared(t *testing.T) {
	run(t, "three hubs, one log", true, link.Options{Adapter: "shared", Subscribe: true}, inMemory)
}
