package rawconn

import "sync"

// Buffer is what was read from a socket and is not yet used. It takes memory only as long as
// there is something in it, and so a socket takes none while it waits. It is for one goroutine
// at a time.
type Buffer struct {
	memory *[bufferSize]byte // from the pool, or nil
	unread []byte            // of memory, or of what was put in
}

const bufferSize = 4096

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Put puts b, which it keeps, into an empty Buffer.
func (b *Buffer) Put(bytes []byte) { b.unread = bytes }

// Buffered returns how many bytes there are.
func (b *Buffer) Buffered() int { return len(b.unread) }

// Read takes out up to len(p) bytes of those that there are.
func (b *Buffer) Read(p []byte) (int, error) {
	n := copy(p, b.unread)
	if b.unread = b.unread[n:]; len(b.unread) == 0 {
		b.free()
	}
	return n, nil
}

func (b *Buffer) free() {
	if b.memory != nil {
		buffers.Put(b.memory)
	}
	b.memory, b.unread = nil, nil
}
