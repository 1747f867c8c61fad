// Package rawconn writes to sockets and pipes without waiting.
package rawconn

// Writer writes to a pipe without waiting.
type Writer interface {
	// TryWrite writes as much of b as is taken now.
	TryWrite(b []byte) (n int, err error)
}
