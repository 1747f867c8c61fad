package ssehub_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// listener accepts connections in memory, of which no byte waits anywhere: what a client has
// not read the server has not written.
type listener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// faulty is a client's end of a connection, which stalls, and is cut at any byte.
type faulty struct {
	net.Conn

	mu      sync.Mutex
	changed sync.Cond
	stalls  bool
	left    int   // bytes that it still reads; negative: any number
	how     error // it is cut, and reads end with that
}

func newFaulty(c net.Conn, stalls bool) *faulty {
	f := &faulty{Conn: c, stalls: stalls, left: -1}
	f.changed.L = &f.mu
	return f
}

func (f *faulty) Read(p []byte) (int, error) {
	f.mu.Lock()
	for f.stalls && f.how == nil {
		f.changed.Wait()
	}
	if f.left >= 0 {
		p = p[:min(len(p), f.left)]
	}
	how := f.how
	f.mu.Unlock()
	if how != nil {
		return 0, how
	}
	n, err := f.Conn.Read(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left >= 0 {
		if f.left = max(f.left-n, 0); f.left == 0 && f.how == nil {
			f.end(io.EOF)
		}
	}
	if f.how != nil {
		err = f.how
	}
	return n, err
}

// end cuts the connection. Under mu.
func (f *faulty) end(how error) {
	f.how = how
	_ = f.Conn.Close()
	f.changed.Broadcast()
}

// cut ends the connection: behind some more bytes, or at once. A reader sees it as the end of
// the stream, or as an error.
func (f *faulty) cut(behind int, how error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.how != nil:
	case behind > 0:
		f.left = behind
	default:
		f.end(how)
	}
}

func (f *faulty) Close() error {
	f.cut(0, net.ErrClosed)
	return nil
}

func (f *faulty) stall(stalls bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stalls = stalls
	f.changed.Broadcast()
}

// plain is a writer that does not give its connection away, as over HTTP/2.
type plain struct{ http.ResponseWriter }

func (p plain) FlushError() error { return http.NewResponseController(p.ResponseWriter).Flush() }

func (p plain) SetWriteDeadline(at time.Time) error {
	return http.NewResponseController(p.ResponseWriter).SetWriteDeadline(at)
}

// errCut is how a connection ends that is reset.
var errCut = errors.New("reset by the walk")
