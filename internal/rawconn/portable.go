//go:build !unix || eventtarget_portable

package rawconn

import (
	"io"
	"net"
	"os"
)

// Socket cannot be written to without waiting: a spoke with something to write has a goroutine
// that waits for its connection.
type Socket struct{}

// NewSocket returns the zero Socket.
func NewSocket(net.Conn) Socket { return Socket{} }

// Can is false.
func (Socket) Can() bool { return false }

// TryWrite writes nothing.
func (Socket) TryWrite([]byte) (int, error) { return 0, nil }

// Fill reads nothing.
func (Socket) Fill(*Buffer, bool) error { return nil }

// Pipe cannot be had: pipes are written to by a goroutine that may wait.
type Pipe struct{}

// NewPipe returns nil.
func NewPipe(*os.File) *Pipe { return nil }

// TryWrite writes nothing.
func (*Pipe) TryWrite([]byte) (int, error) { return 0, nil }

// NewReader returns the file.
func NewReader(f *os.File) io.Reader { return f }
