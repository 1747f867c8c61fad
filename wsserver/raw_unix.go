//go:build unix && !eventtarget_portable

package wsserver

import (
	"net"
	"syscall"
)

type rawSocket struct{ conn syscall.RawConn }

func newRawWriter(c net.Conn) rawWriter {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil // TLS, or no socket at all
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return rawSocket{raw}
}

// tryWrite writes what the socket takes now.
func (r rawSocket) tryWrite(b []byte) (n int, err error) {
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
