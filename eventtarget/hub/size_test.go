package hub

import (
	"testing"
	"unsafe"
)

// TestSpokeSize: there may be hundreds of thousands, which do nothing. Before an object of more
// than 512 bytes that holds pointers Go has 8 of its own, and there is no class between 640 and 704.
func TestSpokeSize(t *testing.T) {
	const class, header = 640, 8
	if n := unsafe.Sizeof(Spoke{}) + header; n > class {
		t.Errorf("a spoke takes %d bytes, more than %d", n, class)
	}
}
