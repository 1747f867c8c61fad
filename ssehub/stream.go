package ssehub

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// stream is one response: a [hub.BatchSender] from which nothing can be received.
type stream struct {
	handler *handler
	control *http.ResponseController
	w       http.ResponseWriter
	left    <-chan struct{} // closed when the client has
	unnamed bool            // its events have no types

	writing sync.Mutex
	opening []byte // what the response begins with; nil once that is written
	buf     []byte
	wrote   atomic.Uint64

	once   sync.Once
	ended  chan struct{}
	reason eventtarget.Reason // set before ended is closed
}

func newStream(h *handler, w http.ResponseWriter, r *http.Request) *stream {
	return &stream{
		handler: h, control: http.NewResponseController(w), w: w, left: r.Context().Done(), ended: make(chan struct{}),
	}
}

// begin is what the response begins with: a place to come back to, for a client that has
// heard nothing and knows no other.
func (s *stream) begin(at hub.Position, resumes bool) {
	s.opening = fmt.Appendf(nil, "retry: %d\n", s.handler.opts.Retry.Milliseconds())
	if !resumes { // otherwise it knows where it is, and what is between comes now
		s.opening = fmt.Appendf(s.opening, "id: %s\n", s.handler.hub.FormatPosition(at))
	}
	s.opening = append(s.opening, '\n')
}

// answer answers the request. From then on the client knows that it is connected: it is
// a spoke before.
func (s *stream) answer() {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.opening != nil {
		_ = s.writeLocked(nil) // the hub learns of an error when it writes next
	}
}

// header is sent before what the response begins with.
func (s *stream) header() {
	header := s.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would wait for more
	header.Set("X-Content-Type-Options", "nosniff")
	s.w.WriteHeader(http.StatusOK)
}

// serve waits for the end. The handler must not return before nobody writes any more.
func (s *stream) serve() {
	_, _ = s.Receive()
	if !s.writing.TryLock() {
		_ = s.control.SetWriteDeadline(time.Unix(1, 0)) // a write that is blocked ends
		s.writing.Lock()
	}
	defer s.writing.Unlock()
	s.w = nil
}

// Receive waits for the end: a client of this kind says nothing.
func (s *stream) Receive() ([]byte, error) {
	select {
	case <-s.ended:
	case <-s.left:
		s.end(eventtarget.Reason{Code: eventtarget.CodeGoingAway, Remote: true})
	}
	return nil, s.reason
}

// Send sends one message. A hub uses SendBatch instead.
func (s *stream) Send(msg []byte) error { return s.SendBatch([]hub.Message{{Envelope: msg}}) }

// SendBatch sends messages in one write.
func (s *stream) SendBatch(batch []hub.Message) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.buf = s.buf[:0]
	for _, m := range batch {
		s.buf = s.appendEvent(s.buf, m)
	}
	err := s.writeLocked(s.buf)
	if cap(s.buf) > keepBuffer {
		s.buf = nil
	}
	return err
}

// keepBuffer bounds what an idle stream holds on to.
const keepBuffer = 4 << 10

// appendEvent appends one event, as it was written for others if it was.
func (s *stream) appendEvent(dst []byte, m hub.Message) []byte {
	if m.After == (hub.Position{}) {
		return s.encode(dst, m)
	}
	recent := &s.handler.named
	if s.unnamed {
		recent = &s.handler.unnamed
	}
	place := &recent[m.After.Number()%uint64(len(recent))]
	if w := place.Load(); w != nil && w.after == m.After {
		return append(dst, w.bytes...)
	}
	w := &written{after: m.After, bytes: s.encode(nil, m)}
	place.Store(w)
	return append(dst, w.bytes...)
}

// encode appends one event (WHATWG HTML §9.2.6). An envelope is one line: JSON has no
// line break inside of strings, but a peer may have sent it with white space between
// its members.
func (s *stream) encode(dst []byte, m hub.Message) []byte {
	if id := s.handler.hub.FormatPosition(m.After); id != "" {
		dst = append(dst, "id: "...)
		dst = append(dst, id...)
		dst = append(dst, '\n')
	}
	if decoded, err := wire.Decode(m.Envelope, s.handler.hub.Limits()); err == nil && !s.unnamed {
		dst = append(dst, "event: "...)
		dst = append(dst, decoded.Type...)
		dst = append(dst, '\n')
	}
	dst = append(dst, "data: "...)
	for _, b := range m.Envelope {
		if b == '\n' || b == '\r' {
			b = ' '
		}
		dst = append(dst, b)
	}
	return append(dst, "\n\n"...)
}

var errNoFlush = errors.New("the response cannot be flushed")

// writeLocked writes and flushes. Under writing.
func (s *stream) writeLocked(b []byte) error {
	select {
	case <-s.ended:
		return s.reason
	default:
	}
	if s.w == nil {
		return eventtarget.Reason{Code: eventtarget.CodeGoingAway, Remote: true}
	}
	// Where there is no deadline the engine's own ends a write that takes too long.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.handler.opts.WriteTimeout))
	var err error
	if s.opening != nil {
		s.header()
		_, err = s.w.Write(s.opening)
		s.opening = nil
	}
	if err == nil {
		_, err = s.w.Write(b)
	}
	if err == nil {
		err = s.control.Flush()
	}
	if errors.Is(err, http.ErrNotSupported) {
		err = errNoFlush
	}
	if err != nil {
		s.end(eventtarget.Reason{Code: eventtarget.CodeLost, Text: err.Error()})
		return s.reason
	}
	s.wrote.Add(1)
	return nil
}

// Ping sends a comment, unless something is being written.
func (s *stream) Ping() error {
	if !s.writing.TryLock() {
		return nil
	}
	defer s.writing.Unlock()
	return s.writeLocked([]byte(":\n\n"))
}

// Heard counts the writes that were taken: all that there is to know of a client of
// this kind.
func (s *stream) Heard() uint64 { return s.wrote.Load() }

// Close ends the response behind what was written. A client comes back by itself, after
// the time that the reason says.
func (s *stream) Close(reason eventtarget.Reason) error {
	if reason.Retry > 0 && s.writing.TryLock() {
		if s.opening == nil {
			_ = s.writeLocked(fmt.Appendf(nil, "retry: %d\n\n", reason.Retry.Milliseconds()))
		}
		s.writing.Unlock()
	}
	s.end(reason)
	return nil
}

func (s *stream) end(reason eventtarget.Reason) {
	s.once.Do(func() {
		s.reason = reason
		close(s.ended)
	})
}
