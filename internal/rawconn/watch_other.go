//go:build !linux || eventtarget_portable

package rawconn

// Watch cannot be had: a goroutine waits for each socket.
type Watch struct{}

// CanAwait is false.
func (Socket) CanAwait() bool { return false }

// Await is false.
func (Socket) Await(*Watch, func()) bool { return false }

// Close does nothing.
func (*Watch) Close() {}
