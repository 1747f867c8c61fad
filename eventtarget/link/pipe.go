package link

import (
	"sync"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// pipeBuffer is how many messages one direction of a pipe holds before Send
// blocks: a few, so that tests meet back-pressure early.
const pipeBuffer = 64

// Pipe returns the two ends of a message connection in memory, for tests: a
// program's own, too. What is sent into one end is received at the other. Pipes
// work inside testing/synctest.
func Pipe() (*PipeConn, *PipeConn) {
	line := &pipeLine{cut: make(chan struct{})}
	ab, ba := make(chan pipeMessage, pipeBuffer), make(chan pipeMessage, pipeBuffer)
	a := &PipeConn{line: line, in: ba, out: ab, closed: make(chan struct{})}
	b := &PipeConn{line: line, in: ab, out: ba, closed: make(chan struct{})}
	a.peer, b.peer = b, a
	return a, b
}

type pipeLine struct {
	once sync.Once
	cut  chan struct{}
}

type pipeMessage struct {
	data []byte
	ping bool
}

// PipeConn is one end of a [Pipe]. It is a [Conn] and a [Pinger], and has the
// faults that a network has.
type PipeConn struct {
	line    *pipeLine
	peer    *PipeConn
	in, out chan pipeMessage
	heard   atomic.Uint64

	once   sync.Once
	closed chan struct{}
	reason eventtarget.Reason // set before closed is

	mu    sync.Mutex
	stall chan struct{} // non-nil while stalled; closed by Resume
}

// Send sends one message; it blocks while the peer is behind.
func (c *PipeConn) Send(msg []byte) error {
	m := pipeMessage{data: append([]byte(nil), msg...)}
	if err := c.broken(); err != nil {
		return err
	}
	select {
	case c.out <- m:
		return nil
	case <-c.line.cut:
	case <-c.closed:
	case <-c.peer.closed:
	}
	return c.broken()
}

// broken returns why nothing can be sent any more.
func (c *PipeConn) broken() error {
	select {
	case <-c.line.cut:
		return eventtarget.Reason{Code: eventtarget.CodeLost, Text: "pipe was cut"}
	default:
	}
	select {
	case <-c.closed:
		return c.reason
	default:
	}
	select {
	case <-c.peer.closed:
		return c.peer.told()
	default:
		return nil
	}
}

// told is this end's reason as the other end sees it.
func (c *PipeConn) told() eventtarget.Reason {
	r := c.reason
	r.Remote = true
	return r
}

// Receive returns the next message. What the peer sent before it closed is
// received first, then its reason.
func (c *PipeConn) Receive() ([]byte, error) {
	for {
		if err := c.awaitResume(); err != nil {
			return nil, err
		}
		select { // the line and our own Close come before what is buffered
		case <-c.line.cut:
			return nil, c.broken()
		case <-c.closed:
			return nil, c.reason
		default:
		}
		select {
		case m := <-c.in:
			if err := c.awaitResume(); err != nil { // stalled while it waited
				return nil, err
			}
			if data, ok := c.got(m); ok {
				return data, nil
			}
		case <-c.line.cut:
			return nil, c.broken()
		case <-c.closed:
			return nil, c.reason
		case <-c.peer.closed:
			if len(c.in) == 0 {
				return nil, c.peer.told()
			}
		}
	}
}

func (c *PipeConn) got(m pipeMessage) ([]byte, bool) {
	c.heard.Add(1)
	if m.ping {
		c.peer.heard.Add(1)
		return nil, false
	}
	return m.data, true
}

// Close ends the connection; the peer receives what was sent, then the reason.
func (c *PipeConn) Close(reason eventtarget.Reason) error {
	c.once.Do(func() {
		c.reason = reason
		close(c.closed)
	})
	return nil
}

// Cut breaks the connection without a word to either end; what was under way is
// lost.
func (c *PipeConn) Cut() { c.line.once.Do(func() { close(c.line.cut) }) }

// Stall makes this end stop reading, as a peer that hangs does.
func (c *PipeConn) Stall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stall == nil {
		c.stall = make(chan struct{})
	}
}

// Resume makes this end read again.
func (c *PipeConn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stall != nil {
		close(c.stall)
		c.stall = nil
	}
}

func (c *PipeConn) stalled() chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stall
}

func (c *PipeConn) awaitResume() error {
	stall := c.stalled()
	if stall == nil {
		return nil
	}
	select {
	case <-stall:
		return nil
	case <-c.line.cut:
		return c.broken()
	case <-c.closed:
		return c.reason
	}
}

// Ping asks the peer for a sign of life: it answers once it reads.
func (c *PipeConn) Ping() error {
	if err := c.broken(); err != nil {
		return err
	}
	select {
	case c.out <- pipeMessage{ping: true}:
	default: // a full pipe says the same as a ping that waits in it
	}
	return nil
}

// Heard counts the signs of life.
func (c *PipeConn) Heard() uint64 { return c.heard.Load() }
