// Package hublog is a log in memory that the hubs of a test have in common, as they would one on
// Redis.
package hublog

import (
	"bytes"
	"context"
	"iter"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// Log is a log that hubs in this process have in common.
type Log struct {
	mu      sync.Mutex
	records []hub.Record
	grown   chan struct{} // closed and replaced when there is more
}

// New returns a log that is empty.
func New() *Log { return &Log{grown: make(chan struct{})} }

// Open returns a hub's way to it.
func (l *Log) Open() *Store { return l.OpenBehind(0) }

// OpenBehind is Open when the log has lost so many records, which nobody is told.
func (l *Log) OpenBehind(lost int) *Store { return &Store{log: l, at: lost} }

// Seq returns the number of the last record.
func (l *Log) Seq() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.records))
}

// Store is a [hub.SharedStore]. It belongs to one hub.
type Store struct {
	log *Log
	at  int
}

// Append keeps all records.
func (s *Store) Append(records []hub.Record) error {
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
func (s *Store) next() (r hub.Record, ok bool, grown <-chan struct{}) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if s.at == len(s.log.records) {
		return r, false, s.log.grown
	}
	s.at++
	r = s.log.records[s.at-1]
	r.Message = bytes.Clone(r.Message) // each hub's own, as over a network
	return r, true, nil
}

// Restore yields what is there.
func (s *Store) Restore() iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		for r, ok, _ := s.next(); ok; r, ok, _ = s.next() {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Follow yields what comes behind that.
func (s *Store) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
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
