//go:build unix && !eventtarget_portable

package rawconn

import (
	"io"
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

// call is one write or read. A RawConn takes a function, which would have to be made anew each
// time, with all that it refers to.
type call struct {
	b     []byte
	n     int
	err   error
	write func(fd uintptr)

	into *Buffer
	read func(fd uintptr) bool // whether that is done
	try  func(fd uintptr)
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.write = func(fd uintptr) { c.n, c.err = write(fd, c.b) }
	c.read = func(fd uintptr) bool {
		c.n, c.err = c.into.fill(fd)
		return c.n > 0 || c.err != nil
	}
	c.try = func(fd uintptr) { c.read(fd) }
	return c
}}

// done returns what was done, and the call to the pool. err is of the connection.
func (c *call) done(err error) (int, error) {
	n := c.n
	if err == nil {
		err = c.err
	}
	c.b, c.n, c.err, c.into = nil, 0, nil, nil
	calls.Put(c)
	return n, err
}

// TryWrite writes as much of b as is taken now. Nobody else may write meanwhile: to have the
// poller look after that, and after a deadline, costs a cache miss.
func (s Socket) TryWrite(b []byte) (n int, err error) {
	c := calls.Get().(*call)
	c.b = b
	err = s.conn.Control(c.write)
	return c.done(err)
}

// Fill reads what has come, up to 4 KiB, into an empty Buffer. If nothing has, it leaves it
// empty, or waits if it is to. The error is io.EOF when nothing will come any more, and behind
// a deadline of the connection, if it waits, [os.ErrDeadlineExceeded].
func (s Socket) Fill(b *Buffer, wait bool) (err error) {
	c := calls.Get().(*call)
	c.into = b
	if wait {
		err = s.conn.Read(c.read)
	} else {
		err = s.conn.Control(c.try)
	}
	_, err = c.done(err)
	return err
}

// fill reads once from a descriptor that does not block.
func (b *Buffer) fill(fd uintptr) (int, error) {
	b.memory = buffers.Get().(*[bufferSize]byte)
	for {
		n, err := syscall.Read(int(fd), b.memory[:])
		switch {
		case n > 0:
			b.unread = b.memory[:n]
			return n, nil
		case err == syscall.EINTR:
			continue
		case err == nil:
			err = io.EOF
		case err == syscall.EAGAIN:
			err = nil
		}
		b.free()
		return 0, err
	}
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
