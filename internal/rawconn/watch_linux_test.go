//go:build linux && !eventtarget_portable

package rawconn

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// watched is a socket with a Watch, and the other end of its connection.
type watched struct {
	near, far net.Conn
	socket    Socket
	watch     Watch
	ready     chan struct{}
	calls     atomic.Int64
}

func watchPairs(t *testing.T, n int) []*watched {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all := make([]*watched, n)
	for i := range all {
		near, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		w := &watched{near: near, far: far, socket: NewSocket(near), ready: make(chan struct{}, 1)}
		t.Cleanup(func() { w.end(); far.Close() })
		all[i] = w
	}
	return all
}

func (w *watched) end() {
	_ = w.near.Close()
	w.watch.Close()
}

func (w *watched) await(t *testing.T) {
	t.Helper()
	if !w.socket.Await(&w.watch, func() { w.calls.Add(1); w.ready <- struct{}{} }) {
		t.Fatal("the system cannot watch a socket")
	}
}

func (w *watched) expect(t *testing.T, why string) {
	t.Helper()
	select {
	case <-w.ready:
	case <-time.After(10 * time.Second):
		t.Fatalf("not ready: %s", why)
	}
}

// TestAwait: who waits for a socket is called once, when there is something to read, when there
// already is, when the other end or this one is closed, and never for another's; what watches
// ends with the last socket.
func TestAwait(t *testing.T) {
	all := watchPairs(t, 300)
	for round := range 3 {
		for _, w := range all {
			w.await(t)
		}
		for i, w := range all {
			if i%3 != 0 {
				_, _ = w.far.Write([]byte("xy"))
				w.expect(t, "something has come")
			}
		}
		for i, w := range all {
			switch {
			case i%3 == 1: // nothing is read: it is ready still
				w.await(t)
				w.expect(t, "there is something")
				fallthrough
			case i%3 == 2:
				if _, err := io.ReadFull(w.near, make([]byte, 2)); err != nil {
					t.Fatal(err)
				}
			default:
				if n := w.calls.Load(); n != int64(round) {
					t.Fatalf("called %d times, not %d", n, round)
				}
				_, _ = w.far.Write([]byte("z"))
				w.expect(t, "something has come at last")
				if _, err := io.ReadFull(w.near, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i, w := range all {
		w.await(t)
		if i%2 == 0 {
			_ = w.far.Close()
			w.expect(t, "the other end is closed")
			w.end()
		} else {
			w.watch.Close() // which may come first
			w.expect(t, "this end is closed")
		}
		if w.socket.Await(&w.watch, func() { t.Error("called for a closed socket") }) {
			t.Error("a closed socket can be watched")
		}
		w.end() // for the second time
	}
	watching.mu.Lock()
	defer watching.mu.Unlock()
	if watching.now != nil {
		t.Errorf("%d sockets are watched still", watching.now.sockets)
	}
}

// TestAwaitReused: a socket that has the descriptor of one that was closed a moment ago is
// not taken for it.
func TestAwaitReused(t *testing.T) {
	keep := watchPairs(t, 1)[0]
	keep.await(t)
	for range 200 {
		old := watchPairs(t, 1)[0]
		old.await(t)
		_ = old.near.Close()
		next := watchPairs(t, 1)[0] // most likely with old's descriptor
		next.await(t)
		old.watch.Close()
		old.expect(t, "this end is closed")
		_, _ = next.far.Write([]byte("x"))
		next.expect(t, "something has come")
		next.end()
		_ = next.far.Close()
		_ = old.far.Close()
	}
	if keep.calls.Load() != 0 {
		t.Error("called for another socket")
	}
}

// TestNewPoll: what Go's poller does not take, as it does not take an epoll where the system has
// no room for another, is an error, and not a poll that nobody waits for.
func TestNewPoll(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file")) // which it never takes
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newPoll(fd); err == nil {
		t.Error("it takes a file")
	}
	if _, err := syscall.Seek(fd, 0, io.SeekCurrent); err != syscall.EBADF {
		t.Error("the descriptor is open still:", err)
	}
	if fd, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	p, err := newPoll(fd)
	if err != nil {
		t.Fatal("it does not take an epoll:", err)
	}
	_ = p.file.Close()
}
