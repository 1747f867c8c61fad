//go:build unix && !eventtarget_portable

package rawconn

import (
	"net"
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

// TryWrite writes what the socket takes now.
func (r socket) TryWrite(b []byte) (n int, err error) {
	var failed error
	err = r.conn.Write(func(fd uintptr) bool {
		for n < len(b) {
			k, e := syscall.Write(int(fd), b[n:])
			switch {
			case e == nil:
				n += k
			case e == syscall.EINTR:
			case e == syscall.EAGAIN:
				return true
			default:
				failed = e
				return true
			}
		}
		return true
	})
	if err == nil {
		err = failed
	}
	return n, err
}
