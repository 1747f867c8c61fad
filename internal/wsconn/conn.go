// Package wsconn makes a [link.Conn] out of a connection of coder/websocket, for
// both ends.
package wsconn

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// CloseTimeout is how long the peer has to answer a close frame before the
// connection is cut.
const CloseTimeout = time.Second

// Conn is a message connection over one WebSocket. No context of a caller reaches
// the library, which takes a cancelled one for the end of the connection: the
// only one that it sees is the Conn's own, and that is what it is cancelled for.
type Conn struct {
	// Foreign tells that the connection was made elsewhere, and may compress. It is to be set
	// before anything is read.
	Foreign bool

	heard  atomic.Uint64
	in     counting // the reader's
	ws     *websocket.Conn
	ctx    context.Context
	cut    context.CancelFunc
	closed sync.Once
	closes atomic.Bool // see Receive
}

// New returns a Conn over ws with a limit on the size of what is read.
func New(ws *websocket.Conn, readLimit int) *Conn {
	c := &Conn{ws: ws}
	ws.SetReadLimit(int64(readLimit))
	c.ctx, c.cut = context.WithCancel(context.Background())
	return c
}

// Protocol returns the version of the session protocol that both ends know, or 0.
func (c *Conn) Protocol() int { return Protocol(c.ws) }

// Protocol returns the version that was agreed on as a subprotocol.
func Protocol(ws *websocket.Conn) int {
	if ws.Subprotocol() == wire.Subprotocol {
		return wire.SessionVersion
	}
	return 0
}

// Send sends one text message.
func (c *Conn) Send(msg []byte) error {
	// Without a deadline: whoever sends closes when it takes too long.
	return c.ws.Write(context.Background(), websocket.MessageText, msg)
}

// Receive returns the next message, text or binary. Once Close was called there is none.
func (c *Conn) Receive() ([]byte, error) {
	_, r, err := c.ws.Reader(c.ctx)
	if err != nil {
		return nil, Reason(err)
	}
	c.heard.Add(1)
	c.in = counting{r, &c.heard}
	msg, err := ReadMessage(&c.in, c.Foreign)
	if err == nil && c.closes.Load() {
		// From then on the library reads, too, and discards what it finds. What it takes out of a
		// message that we are in it leaves us to find behind that.
		return nil, eventtarget.Reason{Code: eventtarget.CodeLost, Text: net.ErrClosed.Error()}
	}
	return msg, err
}

// counting counts what is read: a large message over a slow network may take longer than a
// peer may be silent, and no pong comes before its end.
type counting struct {
	io.Reader
	n *atomic.Uint64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(uint64(n))
	return n, err
}

// Close sends a close frame and gives the peer CloseTimeout to answer, in the
// background.
func (c *Conn) Close(reason eventtarget.Reason) error {
	c.closed.Do(func() {
		c.closes.Store(true)
		if reason.Code == eventtarget.CodeLost || reason.Code == eventtarget.CodeTimeout {
			c.cut() // nobody there to be told
			go c.ws.CloseNow()
			return
		}
		go func() {
			defer c.cut()
			late := time.AfterFunc(CloseTimeout, c.cut)
			defer late.Stop()
			_ = c.ws.Close(websocket.StatusCode(reason.Code.WebSocket()), Text(reason))
		}()
	})
	return nil
}

// pongTimeout bounds how long a ping is waited for. It ends nothing else.
const pongTimeout = 10 * time.Second

// Ping sends a ping; the pong is heard.
func (c *Conn) Ping() error {
	go func() {
		ctx, cancel := context.WithTimeout(c.ctx, pongTimeout)
		defer cancel()
		if c.ws.Ping(ctx) == nil {
			c.heard.Add(1)
		}
	}()
	return nil
}

// Heard counts messages, their bytes, and pongs.
func (c *Conn) Heard() uint64 { return c.heard.Load() }

// scratch is what messages are read into before their size is known.
var scratch = sync.Pool{New: func() any { return new([4096]byte) }}

// ReadMessage returns the message behind r in memory of its own and of its size. Of one that may
// be compressed it cannot tell whether the connection has ended in it: see cutShort.
func ReadMessage(r io.Reader, compressed bool) ([]byte, error) {
	buf := scratch.Get().(*[4096]byte)
	defer scratch.Put(buf)
	n, err := io.ReadFull(r, buf[:])
	msg := append([]byte(nil), buf[:n]...)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return nonNil(msg), cutShort(r, compressed)
	case err != nil:
		return nil, Reason(err)
	}
	for {
		if len(msg) == cap(msg) {
			msg = append(msg, 0)[:len(msg)]
		}
		n, err := r.Read(msg[len(msg):cap(msg)])
		msg = msg[:len(msg)+n]
		if err == io.EOF {
			return msg, cutShort(r, compressed)
		}
		if err != nil {
			return nil, Reason(err)
		}
	}
}

// cutShort tells of a message that has come to its end whether that was the connection's:
// where nothing has come of what a read asked for, the library says the same. But it has
// nothing against a read of nothing then. What decompresses is another message's by now.
func cutShort(r io.Reader, compressed bool) error {
	if compressed {
		return nil
	}
	if _, err := r.Read(nil); err != io.EOF {
		return eventtarget.Reason{Code: eventtarget.CodeLost, Text: io.ErrUnexpectedEOF.Error()}
	}
	return nil
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Reason is the reason behind an error of the library.
func Reason(err error) eventtarget.Reason {
	if ce, ok := errors.AsType[websocket.CloseError](err); ok {
		return eventtarget.ReasonOf(eventtarget.CodeOfWebSocket(int(ce.Code)), ce.Reason)
	}
	r := eventtarget.Reason{Code: eventtarget.CodeProtocol, Text: err.Error()}
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		r.Code = eventtarget.CodeTooLarge
	case isLost(err):
		r.Code = eventtarget.CodeLost
	}
	return r
}

// isLost tells the network's errors from what the library says of its peer.
func isLost(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.ErrClosedPipe) || errors.Is(err, context.Canceled)
}

// Text is what a close frame says of a reason. It holds no more than 123 bytes (RFC 6455
// §5.5): a longer text is cut, and the hint when to retry behind it is not.
func Text(reason eventtarget.Reason) string {
	const most = 123
	over := len(reason.Message()) - most
	if over <= 0 {
		return reason.Message()
	}
	short := reason.Text[:max(len(reason.Text)-over, 0)]
	for !utf8.ValidString(short) {
		short = short[:len(short)-1]
	}
	reason.Text = short
	return reason.Message()
}
