package quicconn

import (
	"context"
	"encoding/binary"
	"errors"
	"net"

	"github.com/quic-go/quic-go"
)

const (
	// maxQueued is how much is handed to QUIC without knowing that it leaves. The
	// peer sets the window of its stream, so that does not bound it.
	maxQueued = 128 << 10
	// maxChunk is how much is tried at once: QUIC takes all of it or nothing.
	maxChunk = 32 << 10
)

// AppendHeader appends the header of a message of n bytes.
func AppendHeader(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// Send sends one message.
func (c *Conn) Send(msg []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out = append(AppendHeader(c.out[:0], len(msg)), msg...)
	err := c.write(c.out)
	if cap(c.out) > maxChunk {
		c.out = nil
	}
	return err
}

// WriteFrames writes frames and waits until they have left, all but the last packet.
func (c *Conn) WriteFrames(frames []byte) error {
	if len(frames) == 0 {
		return nil // TryWriteFrames leaves nothing
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(frames)
}

// write writes frames. Under writing.
func (c *Conn) write(frames []byte) error {
	if _, err := c.stream.Write(frames); err != nil {
		return c.refused(err)
	}
	c.queued = 0
	return nil
}

// TryWriteFrames hands QUIC whole frames as long as it takes them without waiting;
// see hub.FrameWriter.
func (c *Conn) TryWriteFrames(frames []byte) (n int, blocked bool, err error) {
	if !c.writing.TryLock() {
		return 0, true, nil
	}
	defer c.writing.Unlock()
	for n < len(frames) {
		if c.queued >= maxQueued {
			return n, true, nil
		}
		chunk := chunkOf(frames[n:])
		switch err := c.stream.TryWriteAll(chunk); {
		case err == nil:
			c.queued += len(chunk)
			n += len(chunk)
		case errors.Is(err, quic.ErrWouldBlock) || c.left.Load():
			return n, true, nil // WriteFrames waits, or learns why the peer left
		default:
			return 0, false, c.refused(err)
		}
	}
	return n, false, nil
}

// chunkOf returns as many whole frames as are tried at once, at least one.
func chunkOf(frames []byte) []byte {
	if len(frames) <= maxChunk {
		return frames
	}
	end := 0
	for {
		next := end + headerSize + int(binary.BigEndian.Uint32(frames[end:]))
		if end > 0 && next > maxChunk {
			return frames[:end]
		}
		if end = next; end >= len(frames) {
			return frames
		}
	}
}

// refused returns why a write failed. A peer that has ended its side says why in a
// moment: the reader waits for that, no longer than CloseTimeout.
func (c *Conn) refused(err error) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return net.ErrClosed
	case c.left.Load():
		<-c.conn.Context().Done()
		return Reason(context.Cause(c.conn.Context()))
	default:
		return Reason(err)
	}
}
