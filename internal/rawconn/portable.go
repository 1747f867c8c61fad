//go:build !unix || eventtarget_portable

package rawconn

import (
	"net"
	"os"
)

// New returns nil: a spoke with something to write has a goroutine that waits for its
// connection.
func New(net.Conn) Writer { return nil }

// Pipe returns nil: pipes are written to by a goroutine that may wait.
func Pipe(*os.File) Writer { return nil }
