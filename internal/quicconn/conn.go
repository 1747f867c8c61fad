// Package quicconn makes a [link.Conn] out of a QUIC connection with one long
// stream, for both ends.
//
// Messages stand in the stream one behind the other, each behind its length in four
// bytes, the most significant first. An empty message is none: it pads.
package quicconn

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// CloseTimeout is how long the peer has to take what was sent before the connection
// is cut.
const CloseTimeout = 1500 * time.Millisecond

const headerSize = 4

// padding is what a sign of life is asked for with. A packet with it is long enough
// for a hub that has been restarted and does not know the connection to answer with
// a stateless reset, which is never longer than what it answers (RFC 9000 §10.3.3).
var padding [64]byte

// Conn is a message connection over one stream of a QUIC connection.
//
// It ends in good order: the end that closes ends its side of the stream, the other
// has then read everything and resets its own side, which the first takes for the
// answer and closes the connection with the reason. A QUIC connection that is simply
// closed loses what is under way.
type Conn struct {
	conn   *quic.Conn
	stream *quic.Stream
	limit  int

	reading sync.Mutex
	in      *bufio.Reader

	writing sync.Mutex // held by whoever writes to the stream or ends it
	queued  int        // bytes that may not have left yet
	cut     error      // why a write ended, perhaps within a message: what followed would be its rest
	out     []byte

	left   atomic.Bool // the peer has ended its side
	mu     sync.Mutex
	closed bool
	reason eventtarget.Reason // that it was closed with
}

// New returns a Conn over a stream of conn, with a limit on the size of a message
// that is read. It owns both.
func New(conn *quic.Conn, stream *quic.Stream, limit int) *Conn {
	return &Conn{conn: conn, stream: stream, limit: limit, in: bufio.NewReaderSize(stream, 4096)}
}

// Greet sends an empty message. The end that opens a stream must send something for
// the other to see it, and the hub answers once the peer is accepted.
func (c *Conn) Greet() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.cut != nil {
		return c.cut
	}
	_, err := c.stream.Write(padding[:headerSize])
	return err
}

// Await waits until the peer has sent something.
func (c *Conn) Await(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.stream.SetReadDeadline(time.Unix(1, 0)) })
	_, err := c.in.Peek(1)
	switch {
	case !stop():
		return context.Cause(ctx)
	case errors.Is(err, io.EOF): // it says why
		return c.peerLeft()
	}
	return err
}

// Protocol returns the version of the session protocol that both ends know, or 0.
func (c *Conn) Protocol() int {
	if c.conn.ConnectionState().TLS.NegotiatedProtocol == SessionProtocol {
		return wire.SessionVersion
	}
	return 0
}

// Receive returns the next message.
func (c *Conn) Receive() ([]byte, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	msg, err := c.next()
	if err != nil {
		return nil, c.ended(err)
	}
	return msg, nil
}

func (c *Conn) next() ([]byte, error) {
	for {
		header, err := c.in.Peek(headerSize)
		if err != nil {
			return nil, err
		}
		size := binary.BigEndian.Uint32(header)
		_, _ = c.in.Discard(headerSize)
		switch {
		case size == 0:
		case uint64(size) > uint64(c.limit):
			return nil, eventtarget.Reason{Code: eventtarget.CodeTooLarge, Text: "the message is over the limit"}
		default:
			return c.body(int(size))
		}
	}
}

// body reads a message. What the peer says of its size is believed as far as it has
// sent it.
func (c *Conn) body(size int) ([]byte, error) {
	const trusted = 16 << 10
	msg := make([]byte, min(size, trusted))
	for have := 0; ; {
		n, err := io.ReadFull(c.in, msg[have:])
		if err != nil {
			return nil, err
		}
		if have += n; have == size {
			return msg, nil
		}
		more := make([]byte, min(size, 4*have))
		copy(more, msg)
		msg = more
	}
}

// ended returns why nothing more can be read.
func (c *Conn) ended(err error) error {
	c.mu.Lock()
	closed, reason := c.closed, c.reason
	c.mu.Unlock()
	switch {
	case closed:
		return reason
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return c.peerLeft()
	default:
		return Reason(err)
	}
}

// peerLeft answers a peer that has ended its side and waits for what it says.
func (c *Conn) peerLeft() eventtarget.Reason {
	c.left.Store(true)
	c.stream.CancelWrite(quic.StreamErrorCode(eventtarget.CodeNormal.QUIC()))
	silent := time.NewTimer(CloseTimeout)
	defer silent.Stop()
	select {
	case <-c.conn.Context().Done():
		return Reason(context.Cause(c.conn.Context()))
	case <-silent.C:
		_ = c.conn.CloseWithError(quic.ApplicationErrorCode(eventtarget.CodeNormal.QUIC()), "")
		return eventtarget.Reason{Code: eventtarget.CodeNormal, Remote: true}
	}
}

// Ping asks for a sign of life, unless something is being written that does.
func (c *Conn) Ping() error {
	if !c.writing.TryLock() {
		return nil
	}
	defer c.writing.Unlock()
	if c.cut != nil {
		return c.cut
	}
	if err := c.stream.TryWriteAll(padding[:]); !errors.Is(err, quic.ErrWouldBlock) {
		return err
	}
	return nil
}

// Heard counts the packets that were received. The peer's QUIC confirms each that
// asks for it, whether or not the peer reads.
func (c *Conn) Heard() uint64 { return c.conn.ConnectionStats().PacketsReceived }

// Close ends the connection in the background.
func (c *Conn) Close(reason eventtarget.Reason) error {
	c.mu.Lock()
	first := !c.closed
	if first {
		c.closed, c.reason = true, reason
	}
	c.mu.Unlock()
	if first {
		go c.leave(reason)
	}
	return nil
}

// maxText is how much of a reason's text is sent, before the hint when to retry.
const maxText = 256

// leave ends this side behind what was sent, gives the peer time to take that and
// closes the connection.
func (c *Conn) leave(reason eventtarget.Reason) {
	_ = c.stream.SetWriteDeadline(time.Unix(1, 0)) // a write that is blocked ends
	if reason.Code != eventtarget.CodeLost && reason.Code != eventtarget.CodeTimeout {
		c.writing.Lock()
		_ = c.stream.Close()
		c.writing.Unlock()
		_ = c.stream.SetReadDeadline(time.Now().Add(CloseTimeout))
		c.reading.Lock()
		_, _ = io.Copy(io.Discard, c.in)
		c.reading.Unlock()
	}
	if len(reason.Text) > maxText {
		reason.Text = strings.ToValidUTF8(reason.Text[:maxText], "")
	}
	_ = c.conn.CloseWithError(quic.ApplicationErrorCode(reason.Code.QUIC()), reason.Message())
}
