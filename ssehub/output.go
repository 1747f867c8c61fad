package ssehub

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/rawconn"
)

// output is where a response goes: its connection, or the server's writer.
type output interface {
	// tryWrite writes what is possible without waiting, which may be nothing.
	tryWrite(b []byte) (n int, err error)
	// write writes and flushes, within the write timeout.
	write(b []byte) error
	// receive waits for the client to leave, or for ended, and returns why.
	receive(ended <-chan struct{}) eventtarget.Reason
	// close ends a write and a receive that wait, and the response if it can.
	close()
	// outlives tells whether the response goes on when the handler has returned.
	outlives() bool
}

// hasLeft is why a response ends whose client does not want it any more.
var hasLeft = eventtarget.Reason{Code: eventtarget.CodeGoingAway, Remote: true}

// answer answers a request with the head of a response and what that begins with. Over
// HTTP/1 it takes the connection from the server where that lets it: a response then is
// not more than a socket, to which a sweep can write without waiting.
func answer(w http.ResponseWriter, r *http.Request, opening []byte, timeout time.Duration) (output, error) {
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would wait for more
	head.Set("X-Content-Type-Options", "nosniff")
	control := http.NewResponseController(w)
	if r.ProtoMajor == 1 {
		if conn, _, err := control.Hijack(); err == nil {
			return takeOver(conn, head, opening, timeout)
		}
	}
	o := &response{w: w, control: control, left: r.Context().Done(), timeout: timeout}
	w.WriteHeader(http.StatusOK)
	return o, o.write(opening)
}

// connection is a response that is a connection of its own, and ends with it.
type connection struct {
	net.Conn
	raw     rawconn.Socket
	timeout time.Duration
}

func takeOver(conn net.Conn, head http.Header, opening []byte, timeout time.Duration) (output, error) {
	c := &connection{conn, rawconn.NewSocket(conn), timeout}
	head.Set("Connection", "close")
	head.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var b writer
	b = append(b, "HTTP/1.1 200 OK\r\n"...)
	_ = head.Write(&b)
	b = append(b, "\r\n"...)
	err := conn.SetReadDeadline(time.Time{}) // the server's
	return c, errors.Join(err, c.write(append(b, opening...)))
}

// writer is bytes to which one can write.
type writer []byte

func (w *writer) Write(b []byte) (int, error) {
	*w = append(*w, b...)
	return len(b), nil
}

func (c *connection) tryWrite(b []byte) (int, error) {
	if !c.raw.Can() {
		return 0, nil
	}
	return c.raw.TryWrite(b)
}

func (c *connection) write(b []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return errors.Join(err, c.SetWriteDeadline(time.Time{}))
}

// mostSaid bounds what a client may say behind its request, which is nothing.
const mostSaid = 64 << 10

func (c *connection) receive(<-chan struct{}) eventtarget.Reason {
	var b [64]byte
	for said := 0; said <= mostSaid; {
		n, err := c.Read(b[:])
		if err != nil {
			return hasLeft
		}
		said += n
	}
	return eventtarget.Reason{Code: eventtarget.CodePolicy, Text: fmt.Sprintf("more than %d bytes behind a request", mostSaid)}
}

func (c *connection) close()         { _ = c.Conn.Close() }
func (c *connection) outlives() bool { return true }

// response is one that the server writes.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
	left    <-chan struct{} // closed when the client has
	timeout time.Duration
}

func (o *response) tryWrite([]byte) (int, error) { return 0, nil }

var errNoFlush = errors.New("the response cannot be flushed")

func (o *response) write(b []byte) error {
	// Where there is no deadline the engine's own ends a write that takes too long. Over HTTP/2
	// one that is left standing ends the stream, whether anything is written or not.
	_ = o.control.SetWriteDeadline(time.Now().Add(o.timeout))
	defer func() { _ = o.control.SetWriteDeadline(time.Time{}) }()
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	err := o.control.Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return errNoFlush
	}
	return err
}

func (o *response) receive(ended <-chan struct{}) eventtarget.Reason {
	select {
	case <-o.left:
	case <-ended:
	}
	return hasLeft
}

func (o *response) close()         { _ = o.control.SetWriteDeadline(time.Unix(1, 0)) }
func (o *response) outlives() bool { return false }
