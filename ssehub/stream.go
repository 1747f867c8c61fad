package ssehub

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// stream is one response: a [hub.Encoder] from which nothing can be received.
type stream struct {
	handler  *handler
	unnamed  bool // its events have no types
	encoding any

	answered chan struct{} // closed when out is set
	out      output

	writing sync.Mutex
	rest    []byte // of what was cut short
	wrote   atomic.Uint64

	once   sync.Once
	ended  chan struct{}
	reason eventtarget.Reason // set before ended is closed
}

func newStream(h *handler, unnamed bool) *stream {
	type encoding struct { // those of a handler are of two kinds
		*handler
		unnamed bool
	}
	return &stream{handler: h, unnamed: unnamed, encoding: encoding{h, unnamed}, answered: make(chan struct{}), ended: make(chan struct{})}
}

// answer answers the request. From then on the client knows that it is connected, and it
// has been a spoke before; what the hub writes waits until then. The response begins with
// a place to come back to, for a client that has heard nothing and knows no other.
func (s *stream) answer(w http.ResponseWriter, r *http.Request, at hub.Position, resumes bool) {
	opening := fmt.Appendf(nil, "retry: %d\n", s.handler.opts.Retry.Milliseconds())
	if !resumes { // otherwise it knows where it is, and what is between comes now
		opening = fmt.Appendf(opening, "id: %s%s\n", s.handler.hub.FormatPosition(at), heardNothing)
		if s.unnamed { // a script sees the id of what has data only
			opening = fmt.Appendf(opening, "data: {\"type\":%q,\"id\":\"\"}\n", wire.Welcome)
		}
	}
	out, err := answer(w, r, append(opening, '\n'), s.handler.opts.WriteTimeout)
	if err != nil {
		_ = s.failed(err)
	}
	s.out = out
	close(s.answered)
	if s.over() != nil { // meanwhile
		s.cut()
	}
}

// wait returns when the handler may: when nobody writes to w any more.
func (s *stream) wait() {
	if s.out.outlives() {
		return
	}
	_, _ = s.Receive()
	s.end(s.reason) // which waits for the one that is under way: it may be about to use w
	s.cut()
	s.writing.Lock()
	defer s.writing.Unlock()
}

// Encoding tells streams apart that are written differently.
func (s *stream) Encoding() any { return s.encoding }

// AppendMessage appends one event (WHATWG HTML §9.2.6). An envelope is one line: JSON
// has no line break inside of strings, but a peer may have sent it with white space
// between its members.
func (s *stream) AppendMessage(dst []byte, m hub.Message) []byte {
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

// TryWriteFrames writes events without waiting.
func (s *stream) TryWriteFrames(events []byte) (n int, blocked bool, err error) {
	if !s.isAnswered() || !s.writing.TryLock() {
		return 0, true, nil
	}
	defer s.writing.Unlock()
	if err := s.over(); err != nil {
		return 0, false, err
	}
	if len(s.rest) > 0 {
		return 0, true, nil
	}
	if n, err = s.out.tryWrite(events); err != nil {
		return 0, false, s.failed(err)
	}
	if n == 0 {
		return 0, true, nil
	}
	s.rest = append(s.rest, events[n:]...)
	s.wrote.Add(1)
	return len(events), n < len(events), nil
}

// WriteFrames writes events, and before them what TryWriteFrames left.
func (s *stream) WriteFrames(events []byte) error {
	select {
	case <-s.answered:
	case <-s.ended:
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.write(events)
}

// write writes what was left, and b. Under writing.
func (s *stream) write(b []byte) error {
	if err := s.over(); err != nil {
		return err
	}
	for _, part := range [][]byte{s.rest, b} {
		if len(part) == 0 {
			continue
		}
		if err := s.out.write(part); err != nil {
			return s.failed(err)
		}
	}
	s.rest = nil
	s.wrote.Add(1)
	return nil
}

// Send writes one event. The hub uses WriteFrames.
func (s *stream) Send(msg []byte) error {
	return s.WriteFrames(s.AppendMessage(nil, hub.Message{Envelope: msg}))
}

// Ping sends a comment, unless something is being written. It does not wait: the hub asks
// one client after the other.
func (s *stream) Ping() error {
	if !s.isAnswered() || !s.writing.TryLock() {
		return nil
	}
	if len(s.rest) > 0 {
		defer s.writing.Unlock()
		return s.over()
	}
	s.writeSoon([]byte(":\n\n"), func() {})
	return nil
}

// writeSoon writes b without waiting: what the client does not take at once a goroutine
// brings to it. Under writing, which it releases; then is called behind that.
func (s *stream) writeSoon(b []byte, then func()) {
	n := 0
	if len(s.rest) == 0 && s.over() == nil {
		var err error
		if n, err = s.out.tryWrite(b); err != nil {
			_ = s.failed(err)
		}
	}
	if b = b[n:]; len(b) == 0 {
		s.wrote.Add(1)
		s.writing.Unlock()
		then()
		return
	}
	go func() {
		_ = s.write(b)
		s.writing.Unlock()
		then()
	}()
}

// Heard counts the writes that were taken: all that there is to know of a client of
// this kind.
func (s *stream) Heard() uint64 { return s.wrote.Load() }

func (s *stream) isAnswered() bool {
	select {
	case <-s.answered:
		return true
	default:
		return false
	}
}

// over is why nothing can be written any more.
func (s *stream) over() error {
	select {
	case <-s.ended:
		return s.reason
	default:
		return nil
	}
}

// Receive waits for the end: a client of this kind says nothing.
func (s *stream) Receive() ([]byte, error) {
	select {
	case <-s.answered:
		s.end(s.out.receive(s.ended))
	case <-s.ended:
	}
	return nil, s.reason
}

// Close ends the response behind what was written. A client comes back by itself, after
// the time that the reason says.
func (s *stream) Close(reason eventtarget.Reason) error {
	if reason.Retry == 0 || !s.isAnswered() || !s.writing.TryLock() {
		s.end(reason)
		return nil
	}
	late := time.AfterFunc(closeTimeout, func() { s.end(reason) })
	s.writeSoon(fmt.Appendf(nil, "retry: %d\n\n", reason.Retry.Milliseconds()), func() {
		late.Stop()
		s.end(reason)
	})
	return nil
}

// closeTimeout is how long a client has to take the last that it is told.
const closeTimeout = time.Second

func (s *stream) failed(err error) error {
	s.end(eventtarget.Reason{Code: eventtarget.CodeLost, Text: err.Error()})
	return s.reason
}

func (s *stream) end(reason eventtarget.Reason) {
	s.once.Do(func() {
		s.reason = reason
		close(s.ended)
		if s.isAnswered() {
			s.cut()
		}
	})
}

// cut ends the connection, or where that is the server's a write that is under way: if there
// is none, the response ends in order when the handler returns.
func (s *stream) cut() {
	if !s.out.outlives() && s.writing.TryLock() {
		s.writing.Unlock() // who comes now sees that it is over
		return
	}
	s.out.close()
}
