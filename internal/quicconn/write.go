package quicconn

import (
	"context"
	"encoding/binary"
	"errors"
	"net"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

const (
	// maxQueued is how much is handed to QUIC without knowing that it leaves. The
	// peer sets the window of its stream, so that does not bound it.
	maxQueued = 128 << 10
	// maxCopied is how much is copied for QUIC, which keeps it until it leaves and
	// moves the rest with each packet. More than that is better written, which waits
	// and copies nothing but packets.
	maxCopied = 8 << 10
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
	if cap(c.out) > maxCopied {
		c.out = nil
	}
	return err
}

// WriteFrames writes frames and waits until they have left, all but the last packet. Its error
// is a [link.ShortWrite].
func (c *Conn) WriteFrames(frames []byte) error {
	if len(frames) == 0 {
		return nil // TryWriteFrames leaves nothing
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.write(frames)
}

// whole returns the size of the frames that stand whole in b.
func whole(b []byte) (size int) {
	for len(b)-size >= headerSize {
		n := headerSize + int(binary.BigEndian.Uint32(b[size:]))
		if n > len(b)-size {
			break
		}
		size += n
	}
	return size
}

// write writes frames. Under writing.
func (c *Conn) write(frames []byte) error {
	if c.cut != nil {
		return &link.ShortWrite{Err: c.cut}
	}
	n, err := c.stream.Write(frames)
	if err != nil {
		c.cut = c.refused(err)
		return &link.ShortWrite{Written: whole(frames[:n]), Err: c.cut}
	}
	c.queued = 0
	return nil
}

// TryWriteFrames hands QUIC frames if they are few and it takes them without waiting;
// see hub.FrameWriter.
func (c *Conn) TryWriteFrames(frames []byte) (n int, blocked bool, err error) {
	if len(frames) > maxCopied || !c.writing.TryLock() {
		return 0, true, nil
	}
	defer c.writing.Unlock()
	switch {
	case c.cut != nil:
		return 0, false, c.cut
	case c.queued >= maxQueued:
		return 0, true, nil
	}
	switch err := c.stream.TryWriteAll(frames); {
	case err == nil:
		c.queued += len(frames)
		return len(frames), false, nil
	case errors.Is(err, quic.ErrWouldBlock) || c.left.Load():
		return 0, true, nil // WriteFrames waits, or learns why the peer left
	default:
		return 0, false, c.refused(err)
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
