package ssehub

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// stuck is a response whose client takes nothing.
type stuck struct {
	cut     chan struct{} // closed: a write ends
	closing chan struct{} // closed by the first close
	ending  chan struct{} // closed: that ends
	first   atomic.Bool
	closed  atomic.Bool
}

func newStuck() (*stuck, *stream) {
	o := &stuck{cut: make(chan struct{}), closing: make(chan struct{}), ending: make(chan struct{})}
	s := newStream(&handler{}, false)
	s.out = o
	close(s.answered)
	return o, s
}

func (o *stuck) tryWrite([]byte) (int, error) { return 0, nil }

func (o *stuck) write([]byte) error {
	<-o.cut
	return errors.New("cut")
}

func (o *stuck) receive(ended <-chan struct{}) eventtarget.Reason {
	<-ended
	return hasLeft
}

func (o *stuck) close() {
	if o.first.CompareAndSwap(false, true) {
		close(o.closing)
		<-o.ending
		o.closed.Store(true)
	}
}

func (o *stuck) outlives() bool { return false }

// TestHandlerWaitsForEnd: the handler does not return, with which the server's writer is
// gone, while another goroutine has still to close that.
func TestHandlerWaitsForEnd(t *testing.T) {
	for range 50 { // of what wait may see first, there are two
		o, s := newStuck()
		ended := make(chan struct{})
		s.writing.Lock() // as a write that is under way
		go func() {
			defer close(ended)
			s.end(eventtarget.Reason{Code: eventtarget.CodeNormal})
		}()
		<-o.closing
		go func() {
			close(o.ending)
			s.writing.Unlock()
		}()
		s.wait()
		if !o.closed.Load() {
			t.Error("it has returned before the response was closed")
		}
		<-ended
	}
}

// TestNobodyWaitsForStuck: neither who asks all spokes for a sign of life nor who ends one
// with a word waits for a client that takes nothing.
func TestNobodyWaitsForStuck(t *testing.T) {
	for name, say := range map[string]func(s *stream){
		"ping":  func(s *stream) { _ = s.Ping() },
		"close": func(s *stream) { _ = s.Close(eventtarget.Reason{Code: eventtarget.CodeRestart, Retry: time.Second}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, s := newStuck()
				close(o.ending)
				said := make(chan struct{})
				go func() {
					defer close(said)
					say(s)
				}()
				synctest.Wait()
				select {
				case <-said:
				default:
					t.Error("it waits for the client")
				}
				if name == "close" { // without it, after a while
					_, _ = s.Receive()
				}
				close(o.cut)
				s.wait()
			})
		})
	}
}
