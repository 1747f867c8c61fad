package wsserver

import (
	"context"
	"errors"
	"net"
	"runtime"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/rawconn"
	"github.com/eventtarget-go/toolkit/internal/wsconn"
)

// framesOverhead is how much larger a message may be on the network than its
// payload: room for frames and for control frames between them. It ends a message
// of endless empty fragments.
const framesOverhead = 64 << 10

// connection is the hub's side of a socket: the [link.Conn] of a spoke, with the
// socket's [hub.FrameWriter] and a [link.Pinger].
type connection struct {
	socket // first: what a sweep looks at stands at its head
	ws     *websocket.Conn
	budget int // of one message, in bytes on the network
}

// over makes c a connection over conn. It begins with a call of reads.
func (c *connection) over(conn net.Conn) {
	c.Conn, c.raw = conn, rawconn.NewSocket(conn)
	c.idle.quiet.Store(c.raw.CanAwait())
}

// reads has messages of up to so many bytes read through the library.
func (c *connection) reads(ws *websocket.Conn, limit int) {
	ws.SetReadLimit(int64(limit))
	// What has a finalizer and is referred to by what it refers to, as by c, is never freed. The
	// hub closes what it has, and the library has nothing to see to behind that.
	runtime.SetFinalizer(ws, nil)
	c.ws, c.budget = ws, 2*limit+framesOverhead
}

// Protocol returns the version of the session protocol that both ends know, or 0.
func (c *connection) Protocol() int { return wsconn.Protocol(c.ws) }

// Receive returns the next message, text or binary.
func (c *connection) Receive() ([]byte, error) {
	_, r, err := c.ws.Reader(context.Background())
	switch {
	case errors.Is(err, hub.ErrIdle):
		return nil, err
	case err != nil:
		return nil, wsconn.Reason(err)
	}
	c.begin(c.budget)
	msg, err := wsconn.ReadMessage(r, false)
	c.end()
	if c.budgetSpent() {
		return nil, eventtarget.Reason{Code: eventtarget.CodeTooLarge, Text: errEndless.Error()}
	}
	return msg, err
}

// Send sends one message by itself. A hub uses the FrameWriter instead.
func (c *connection) Send(msg []byte) error {
	return c.WriteFrames(append(appendHeader(nil, len(msg)), msg...))
}

// Ping sends a ping. The pong is heard as every byte is.
func (c *connection) Ping() error { return c.putControl([]byte{finPing, 0}) }

// Heard counts the bytes that were read.
func (c *connection) Heard() uint64 { return c.heard.Load() }

// Close sends a close frame behind what was taken. The connection is cut when the
// reader sees the peer's answer, and when that does not come in time.
func (c *connection) Close(reason eventtarget.Reason) error {
	if reason.Code == eventtarget.CodeLost || reason.Code == eventtarget.CodeTimeout {
		return c.socket.Close() // nobody there to be told
	}
	time.AfterFunc(wsconn.CloseTimeout, func() { _ = c.socket.Close() })
	return c.putControl(closeFrame(reason.Code.WebSocket(), wsconn.Text(reason)))
}
