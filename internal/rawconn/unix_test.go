//go:build unix && !eventtarget_portable

package rawconn_test

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/internal/rawconn"
)

// TestPipe: a pipe takes what it has room for, whole, and nothing when it is full or it
// would be cut; a deadline that is over does not count.
func TestPipe(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := out.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	w := rawconn.NewPipe(out)
	msg := bytes.Repeat([]byte("x"), 500)
	total := 0
	for {
		n, err := w.TryWrite(msg)
		if err != nil || n != 0 && n != len(msg) {
			t.Fatalf("wrote %d bytes of %d, %v", n, len(msg), err)
		}
		if n == 0 {
			break
		}
		total += n
	}
	if total == 0 {
		t.Fatal("an empty pipe takes nothing")
	}
	if _, err := io.CopyN(io.Discard, in, int64(total)); err != nil {
		t.Fatal(err)
	}
	if n, err := w.TryWrite(make([]byte, 8192)); n != 0 || err != nil {
		t.Errorf("of what can be cut it wrote %d bytes, %v", n, err)
	}
	if n, err := w.TryWrite(msg); n != len(msg) || err != nil {
		t.Errorf("after it was read it takes %d bytes, %v", n, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.TryWrite(msg); err == nil {
		t.Error("a closed pipe takes it")
	}
}
