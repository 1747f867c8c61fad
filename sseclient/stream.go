package sseclient

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/tmaxmax/go-sse"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// stream is one response, a [link.Conn] that can only receive.
type stream struct {
	dialer  *dialer
	body    io.ReadCloser
	cancel  func()
	next    func() (sse.Event, error, bool)
	stop    func() // of next
	read    atomic.Uint64
	resumed bool

	once   sync.Once
	closed chan struct{}
	reason eventtarget.Reason // set before closed is closed
}

func newStream(body io.ReadCloser, cancel func(), d *dialer) *stream {
	s := &stream{dialer: d, body: body, cancel: cancel, resumed: d.last.Load() != nil, closed: make(chan struct{})}
	// What stands around an envelope is an id and a type.
	const around = 1 << 10
	s.next, s.stop = iter.Pull2(sse.Read(counting{body, &s.read}, &sse.ReadConfig{MaxEventSize: d.limit + around}))
	return s
}

// counting counts what is read. The end of the stream is an error: behind io.EOF the parser would
// bring what the end has cut short, with an id behind which the hub would not send it again.
type counting struct {
	io.Reader
	n *atomic.Uint64
}

var errEnded = errors.New("the stream ended")

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(uint64(n))
	if err == io.EOF {
		err = errEnded
	}
	return n, err
}

// Receive returns the next message.
func (s *stream) Receive() ([]byte, error) {
	for {
		e, err, ok := s.next()
		if err != nil || !ok {
			s.stop()
			if errors.Is(err, bufio.ErrTooLong) {
				s.dialer.last.Store(nil) // or the hub would send it again
			}
			return nil, s.why(err)
		}
		if e.LastEventID != "" {
			s.dialer.last.Store(&e.LastEventID)
		}
		if e.Data != "" {
			return []byte(e.Data), nil
		}
	}
}

// why returns the reason of the end.
func (s *stream) why(err error) error {
	select {
	case <-s.closed:
		return s.reason
	default:
	}
	switch {
	case err == nil:
		err = errEnded
	case errors.Is(err, bufio.ErrTooLong):
		return eventtarget.Reason{Code: eventtarget.CodeTooLarge, Text: "the event is over the limit"}
	}
	return eventtarget.Reason{Code: eventtarget.CodeLost, Text: err.Error()}
}

// Send always fails: it cannot be called, since Dispatch accepts nothing.
func (s *stream) Send([]byte) error {
	return fmt.Errorf("server-sent events go one way: %w", errors.ErrUnsupported)
}

// Close ends the request.
func (s *stream) Close(reason eventtarget.Reason) error {
	s.once.Do(func() {
		s.reason = reason
		close(s.closed)
		s.cancel()
		_ = s.body.Close()
	})
	return nil
}

// Ping asks for nothing: the hub gives signs of life by itself, which Heard counts.
func (s *stream) Ping() error { return nil }

// Heard counts the bytes that came.
func (s *stream) Heard() uint64 { return s.read.Load() }

// Resumed tells that the hub was told what the client has heard: it tells a gap itself.
func (s *stream) Resumed() bool { return s.resumed }
