//go:build !unix || eventtarget_portable

package wsserver

import "net"

// newRawWriter returns nil: a spoke with something to write has a goroutine that
// waits for its connection.
func newRawWriter(net.Conn) rawWriter { return nil }
