// Package rawconn writes to sockets without waiting.
package rawconn

// Writer writes to a socket without waiting.
type Writer interface {
	// TryWrite writes as much of b as the socket takes now.
	TryWrite(b []byte) (n int, err error)
}
