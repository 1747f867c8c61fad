//go:build !unix || eventtarget_portable

package rawconn

import "net"

// New returns nil: a spoke with something to write has a goroutine that waits for its
// connection.
func New(net.Conn) Writer { return nil }
