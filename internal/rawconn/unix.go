//go:build unix && !eventtarget_portable

package rawconn

import (
	"net"
	"sync"
	"syscall"
)

type socket struct{ conn syscall.RawConn }

// New returns what writes to a socket without waiting. It is nil for what is no socket,
// such as TLS, and where the system has no such writes.
func New(c net.Conn) Writer {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return socket{raw}
}

// call is one write. A RawConn takes a function, which would have to be made anew each
// time, with all that it refers to.
type call struct {
	b   []byte
	n   int
	err error
	do  func(fd uintptr) bool
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.do = c.write
	return c
}}

// write writes until the socket takes no more. It never asks to be called again.
func (c *call) write(fd uintptr) bool {
	for c.n < len(c.b) {
		k, err := syscall.Write(int(fd), c.b[c.n:])
		switch err {
		case nil:
			c.n += k
		case syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			c.err = err
			return true
		}
	}
	return true
}

// TryWrite writes what the socket takes now.
func (s socket) TryWrite(b []byte) (n int, err error) {
	c := calls.Get().(*call)
	c.b = b
	err = s.conn.Write(c.do)
	if err == nil {
		err = c.err
	}
	n = c.n
	c.b, c.n, c.err = nil, 0, nil
	calls.Put(c)
	return n, err
}
