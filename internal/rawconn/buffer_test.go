//go:build unix && !eventtarget_portable

package rawconn_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/internal/rawconn"
)

// TestFill: what the other end writes is what is read, in pieces of any size; where nothing has
// come, Fill waits if it is to, up to the deadline; the end is io.EOF.
func TestFill(t *testing.T) {
	near, conn, far := connected(t)
	var b rawconn.Buffer
	if err := near.Fill(&b, false); err != nil || b.Buffered() != 0 {
		t.Fatalf("nothing has come: %d bytes, %v", b.Buffered(), err)
	}
	text := strings.Repeat("0123456789", 1000)
	go func() {
		_, _ = io.WriteString(far, text)
		far.Close()
	}()
	var got bytes.Buffer
	for {
		err := near.Fill(&b, true)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || b.Buffered() == 0 {
			t.Fatalf("waited for %d bytes, %v", b.Buffered(), err)
		}
		for b.Buffered() > 0 {
			p := make([]byte, 7)
			n, _ := b.Read(p)
			got.Write(p[:n])
		}
	}
	if got.String() != text {
		t.Errorf("read %d bytes of %d, or others", got.Len(), len(text))
	}
	if err := near.Fill(&b, false); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
	if err := conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := near.Fill(&b, true); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("behind the deadline: %v", err)
	}
	b.Put([]byte("early"))
	if p := make([]byte, 9); b.Buffered() != 5 {
		t.Errorf("%d bytes of 5", b.Buffered())
	} else if n, _ := b.Read(p); string(p[:n]) != "early" || b.Buffered() != 0 {
		t.Errorf("%q, and %d more", p[:n], b.Buffered())
	}
}
