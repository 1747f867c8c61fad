package wsserver

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/internal/rawconn"
)

// socket is the net.Conn of the library, and stands between it and the network.
// The library reads through it and writes its control frames; the hub writes
// framed messages beside it. At any time at most one of them is inside a frame:
// while a frame is cut short, or a write is under way, control frames wait for its
// end and are reported as written, because the library gives a connection up when
// its own writes take long.
type socket struct {
	// What each sweep looks at stands together, as in a hub.Spoke.
	raw     rawconn.Socket
	mu      sync.Mutex
	busy    bool // somebody writes without holding mu
	closing bool // a close frame stands last in what waits
	failed  error
	control []byte // control frames that wait
	rest    []byte // of a frame that was cut short

	turn *sync.Cond // signalled when busy ends; nil: nobody has waited for that

	net.Conn
	heard  atomic.Uint64 // bytes read
	inside bool          // a message is being read; the reader's
	budget int           // what it may still cost in bytes; the reader's

	library *bufio.Reader  // between the library and the socket
	buffer  rawconn.Buffer // between the socket and the network; the reader's
	idle    idle
}

// maxControl bounds the control frames that wait. Beyond it they are dropped: a
// peer that pings and does not read gets fewer pongs.
const maxControl = 4 << 10

var errEndless = errors.New("message of too many fragments")

// begin and end bound what one message may cost on the network, its fragments and
// the control frames between them included.
func (s *socket) begin(budget int) { s.inside, s.budget = true, budget }
func (s *socket) end()             { s.inside = false }

// budgetSpent tells whether the last message cost too much.
func (s *socket) budgetSpent() bool { return s.budget < 0 }

// Read is the library's.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.read(p)
	s.heard.Add(uint64(n))
	s.idle.boundary = s.idle.boundary && n == 0
	if s.inside {
		if s.budget -= n; s.budget < 0 {
			return 0, errEndless
		}
	}
	return n, err
}

func (s *socket) read(p []byte) (int, error) {
	if s.buffer.Buffered() == 0 {
		if !s.raw.Can() {
			return s.Conn.Read(p)
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	return s.buffer.Read(p)
}

// Close is the library's too. It ends a wait for something to be read.
func (s *socket) Close() error {
	err := s.Conn.Close()
	s.idle.watch.Close()
	return err
}

// Write is the library's, for one control frame.
func (s *socket) Write(frame []byte) (int, error) {
	if err := s.putControl(frame); err != nil {
		return 0, err
	}
	return len(frame), nil
}
