//go:build unix && !eventtarget_portable

package rawconn

import (
	"io"
	"os"
	"runtime"
	"syscall"
	"time"
)

// reader reads from a pipe. Where what it waits for mostly comes soon, it looks for it for a
// while before it waits.
type reader struct {
	file    *os.File
	conn    syscall.RawConn
	eager   eager
	call    func(fd uintptr) bool // made once, since every one is on the heap
	b       []byte
	n       int
	nothing bool // was there, and nothing is wrong
}

// NewReader returns a reader of a pipe for one goroutine at a time. f must be set not to block,
// as those of os.Pipe are; its deadlines count, and Close ends a Read.
func NewReader(f *os.File) io.Reader {
	conn, err := f.SyscallConn()
	if err != nil {
		return f
	}
	r := &reader{file: f, conn: conn}
	r.call = func(fd uintptr) bool {
		n, err := syscall.Read(int(fd), r.b)
		r.n, r.nothing = n, err == syscall.EAGAIN || err == syscall.EINTR
		return true
	}
	return r
}

// Read reads what there is, and waits if there is nothing.
func (r *reader) Read(b []byte) (n int, err error) {
	if r.try(b) {
		return r.read(b)
	}
	began := time.Now()
	if r.eager.looks() && beginLooking() {
		found := r.look(b, began.Add(look))
		endLooking()
		r.eager.looked(time.Since(began))
		if found {
			return r.read(b)
		}
	}
	n, err = r.file.Read(b)
	r.eager.waited(time.Since(began))
	return n, err
}

// look tries again and again until there is something or the time is over. It begins with
// those who have something to do, who may be the ones to be answered.
func (r *reader) look(b []byte, end time.Time) (found bool) {
	const others = 16 // tries, until it is their turn again: to let them costs more than a try
	for n := 0; time.Now().Before(end); n++ {
		if n%others == 0 {
			runtime.Gosched()
		}
		if r.try(b) {
			return true
		}
	}
	return false
}

// try reads without waiting. It is false when there is nothing, and nothing wrong, either.
func (r *reader) try(b []byte) (done bool) {
	r.b, r.n, r.nothing = b, 0, false
	err := r.conn.Read(r.call)
	r.b = nil
	return err != nil || !r.nothing
}

// read returns what was tried. The end, and what is wrong, is for the file to say.
func (r *reader) read(b []byte) (int, error) {
	if r.n > 0 {
		return r.n, nil
	}
	return r.file.Read(b)
}
