//go:build !unix || eventtarget_portable

package rawconn

import (
	"net"
	"os"
)

// Socket cannot be written to without waiting: a spoke with something to write has a goroutine
// that waits for its connection.
type Socket struct{}

// New returns the zero Socket.
func New(net.Conn) Socket { return Socket{} }

// Can is false.
func (Socket) Can() bool { return false }

// TryWrite writes nothing.
func (Socket) TryWrite([]byte) (int, error) { return 0, nil }

// Pipe returns nil: pipes are written to by a goroutine that may wait.
func Pipe(*os.File) Writer { return nil }
