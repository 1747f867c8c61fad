//go:build unix && !eventtarget_portable

package rawconn

import (
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
)

// Socket writes to a socket without waiting. The zero Socket cannot.
type Socket struct{ conn syscall.RawConn }

// NewSocket returns the Socket of a connection: the zero one for what is no socket, such as TLS, and
// where the system has no such writes.
func NewSocket(c net.Conn) Socket {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return Socket{}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return Socket{}
	}
	return Socket{raw}
}

// Can tells whether it can be written to.
func (s Socket) Can() bool { return s.conn != nil }

// call is one write. A RawConn takes a function, which would have to be made anew each
// time, with all that it refers to.
type call struct {
	b   []byte
	n   int
	err error
	do  func(fd uintptr)
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.do = func(fd uintptr) { c.n, c.err = write(fd, c.b) }
	return c
}}

// TryWrite writes as much of b as is taken now. Nobody else may write meanwhile: to have the
// poller look after that, and after a deadline, costs a cache miss.
func (s Socket) TryWrite(b []byte) (n int, err error) {
	c := calls.Get().(*call)
	c.b = b
	err = s.conn.Control(c.do)
	if err == nil {
		err = c.err
	}
	n = c.n
	c.b, c.n, c.err = nil, 0, nil
	calls.Put(c)
	return n, err
}

// write writes as much of b as a descriptor that does not block takes.
func write(fd uintptr, b []byte) (n int, err error) {
	for n < len(b) {
		k, e := syscall.Write(int(fd), b[n:])
		switch e {
		case nil:
			n += k
		case syscall.EINTR:
		case syscall.EAGAIN:
			return n, nil
		default:
			return n, e
		}
	}
	return n, nil
}

// Pipe writes to a pipe without waiting, all or nothing. It, too, calls Control, which knows of
// no deadline: one that a write before had may be over.
type Pipe struct {
	conn syscall.RawConn
	most int              // that is taken whole or not at all (PIPE_BUF)
	call func(fd uintptr) // made once, since every one is on the heap
	b    []byte
	n    int
	err  error
}

// NewPipe returns the Pipe of a file, or nil where that is not possible. f must be set not to
// block, as those of os.Pipe are.
func NewPipe(f *os.File) *Pipe {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil
	}
	p := &Pipe{conn: raw, most: 512} // what POSIX promises
	if runtime.GOOS == "linux" {
		p.most = 4096
	}
	p.call = func(fd uintptr) { p.n, p.err = write(fd, p.b) }
	return p
}

// TryWrite writes b if the pipe takes it now. It is for one goroutine at a time.
func (p *Pipe) TryWrite(b []byte) (n int, err error) {
	if len(b) > p.most {
		return 0, nil
	}
	p.b = b
	err = p.conn.Control(p.call)
	n, p.b = p.n, nil
	if err == nil {
		err = p.err
	}
	return n, err
}
