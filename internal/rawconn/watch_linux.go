//go:build linux && !eventtarget_portable

package rawconn

import (
	"os"
	"sync"
	"syscall"
	"time"
)

// Watch tells when a socket can be read, where no goroutine waits for that. Each is of one
// socket. The zero Watch is ready for use.
type Watch struct {
	in     *poll  // that knows of the socket; nil: none does. This and the rest under watching.mu
	fd     int    // in it
	ready  func() // to be called; nil: nobody waits
	closed bool
}

// poll is an epoll of its own, whose descriptor Go's poller watches: one goroutine waits for
// all sockets. It stands as long as there is one.
type poll struct {
	fd      int
	file    *os.File
	raw     syscall.RawConn
	sockets int
	watches []*Watch // by descriptor
}

// watching is the poll of this process.
var watching struct {
	mu  sync.Mutex
	now *poll // nil: nobody has needed one
}

// CanAwait tells whether Await is possible.
func (s Socket) CanAwait() bool { return s.Can() }

// Await has ready called, once and in a goroutine of its own, as soon as the socket has
// something to be read, has failed, or w was closed. It is false if w is closed or the system
// has no room for another: ready is not called then. It is for one goroutine at a time, and not
// to be called again before ready was.
func (s Socket) Await(w *Watch, ready func()) (ok bool) {
	err := s.conn.Control(func(fd uintptr) { ok = w.arm(int(fd), ready) })
	return err == nil && ok
}

func (w *Watch) arm(fd int, ready func()) bool {
	watching.mu.Lock()
	defer watching.mu.Unlock()
	if w.closed {
		return false
	}
	op := syscall.EPOLL_CTL_MOD
	if w.in == nil {
		p, err := started()
		if err != nil {
			return false
		}
		op = syscall.EPOLL_CTL_ADD
		p.enter(w, fd)
	}
	w.ready = ready
	once := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(fd)}
	if err := syscall.EpollCtl(w.in.fd, op, fd, &once); err != nil {
		w.ready = nil
		w.leave()
		return false
	}
	return true
}

// Close is to be called when the socket was closed, which nothing else would tell. It may be
// called twice.
func (w *Watch) Close() {
	watching.mu.Lock()
	w.closed = true
	ready := w.ready
	w.ready = nil
	w.leave()
	watching.mu.Unlock()
	if ready != nil {
		go ready()
	}
}

// started returns the poll of this process. Under mu.
func started() (*poll, error) {
	if watching.now != nil {
		return watching.now, nil
	}
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	p, err := newPoll(fd)
	if err != nil {
		return nil, err
	}
	watching.now = p
	go p.run()
	return p, nil
}

// newPoll returns the poll of an epoll, which it closes if Go's poller does not take it: what
// would wait for it would end at once, and who is in it would never be called.
func newPoll(fd int) (*poll, error) {
	if err := syscall.SetNonblock(fd, true); err != nil { // or it would not be watched
		_ = syscall.Close(fd)
		return nil, err
	}
	p := &poll{fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	err := p.file.SetReadDeadline(time.Time{}) // NewFile itself does not tell
	if err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		_ = p.file.Close()
		return nil, err
	}
	return p, nil
}

// enter adds a socket. Under mu.
func (p *poll) enter(w *Watch, fd int) {
	for len(p.watches) <= fd {
		p.watches = append(p.watches, nil)
	}
	p.watches[fd], w.in, w.fd = w, p, fd
	p.sockets++
}

// leave takes the socket out, and ends a poll that has none left. Under mu.
func (w *Watch) leave() {
	p := w.in
	if p == nil {
		return
	}
	w.in = nil
	if p.watches[w.fd] == w { // and not another one that has the descriptor by now
		p.watches[w.fd] = nil
	}
	if p.sockets--; p.sockets == 0 {
		watching.now = nil
		_ = p.file.Close()
	}
}

// run waits until the poll is closed.
func (p *poll) run() {
	events := make([]syscall.EpollEvent, 128)
	for {
		n := 0
		err := p.raw.Read(func(fd uintptr) bool {
			n, _ = syscall.EpollWait(int(fd), events, 0)
			return n != 0 // -1: interrupted, and to be called again
		})
		if err != nil {
			return
		}
		watching.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			if w := p.watches[e.Fd]; w != nil && w.ready != nil {
				go w.ready()
				w.ready = nil
			}
		}
		watching.mu.Unlock()
	}
}
