package wsserver

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

const (
	// readBuffer is what a connection keeps for reading. Small, because an idle
	// connection keeps it; larger payloads go past it.
	readBuffer = 512
	// controlFrame is the largest frame that the library writes by itself: a
	// control frame of a server, unmasked (RFC 6455 §5.5). Its buffer must hold
	// one whole, so that each is one Write.
	controlFrame = 2 + 125
)

// upgrade is the ResponseWriter that the library hijacks. It gets our socket
// instead of the net.Conn, and small buffers instead of those of net/http, which
// are freed.
type upgrade struct {
	http.ResponseWriter
	conn *connection
}

// Hijack implements [http.Hijacker].
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err := rw.Flush(); err != nil { // the 101 that answers the request
		conn.Close()
		return nil, nil, err
	}
	u.conn.over(conn)
	if n := rw.Reader.Buffered(); n > 0 { // the client has not waited for anything
		early := make([]byte, n)
		_, _ = io.ReadFull(rw.Reader, early)
		u.conn.buffer.Put(early)
	}
	size := readBuffer
	if u.conn.raw.Can() {
		size = 0 // it has a buffer, as long as it needs one
	}
	u.conn.library = bufio.NewReaderSize(&u.conn.socket, size)
	return &u.conn.socket, bufio.NewReadWriter(u.conn.library, bufio.NewWriterSize(&u.conn.socket, controlFrame)), nil
}
