package wire

import (
	"bytes"
	"maps"
	"strings"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// keepBuffer bounds what an idle buffer holds on to.
const keepBuffer = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// GetBuffer returns an empty buffer to append a message to.
func GetBuffer() *[]byte {
	b := buffers.Get().(*[]byte)
	*b = (*b)[:0]
	return b
}

// PutBuffer takes a buffer back that nobody uses any more.
func PutBuffer(b *[]byte) {
	if cap(*b) <= keepBuffer {
		buffers.Put(b)
	}
}

// Clone returns e as the other end would hear it: sharing no memory with what the
// caller may use again, and without a source.
func Clone(e *eventtarget.Event[eventtarget.Raw]) eventtarget.Event[eventtarget.Raw] {
	return eventtarget.Event[eventtarget.Raw]{
		Type:    strings.Clone(e.Type),
		ID:      strings.Clone(e.ID),
		Payload: bytes.Clone(e.Payload),
		Headers: maps.Clone(e.Headers),
	}
}
