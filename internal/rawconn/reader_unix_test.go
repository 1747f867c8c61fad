//go:build unix && !eventtarget_portable

package rawconn

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"
)

func eagerPipe(t *testing.T) (in *os.File, r *reader, out *os.File) {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		out.Close()
	})
	return in, NewReader(in).(*reader), out
}

// TestReader: what was written is read, in order, whether it was there, was looked for or was
// waited for, and then the end.
func TestReader(t *testing.T) {
	_, r, out := eagerPipe(t)
	_, answers, back := eagerPipe(t)
	go func() { // sends back
		b := make([]byte, 100)
		for {
			n, err := r.Read(b)
			if err != nil {
				back.Close()
				return
			}
			_, _ = back.Write(b[:n])
		}
	}()
	b := make([]byte, 100)
	for i := range 1000 {
		want := []byte{byte(i), byte(i >> 8)}
		if _, err := out.Write(want); err != nil {
			t.Fatal(err)
		}
		n, err := answers.Read(b)
		if err != nil || !bytes.Equal(b[:n], want) {
			t.Fatalf("%d: %v, %v", i, b[:n], err)
		}
	}
	out.Close()
	if n, err := answers.Read(b); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end %d bytes, %v", n, err)
	}
	if n := looking.Load(); n != 0 {
		t.Errorf("%d still look", n)
	}
}

// TestReaderLooks: what comes while it is looked for is found, also by who has the only processor
// for it, and what does not come is not.
func TestReaderLooks(t *testing.T) {
	_, r, out := eagerPipe(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	go func() { _, _ = out.Write([]byte("found")) }()
	b := make([]byte, 100)
	if found := r.look(b, time.Now().Add(time.Minute)); !found {
		t.Fatal("not found")
	}
	if n, err := r.read(b); string(b[:n]) != "found" || err != nil {
		t.Errorf("found %q, %v", b[:n], err)
	}
	if r.look(b, time.Now().Add(time.Millisecond)) {
		t.Error("found what is not there")
	}
}

// TestReaderEnds: a deadline and Close end a Read that looks, and one that waits.
func TestReaderEnds(t *testing.T) {
	for name, short := range map[string]int{"looks": trust, "waits": 0} {
		t.Run(name, func(t *testing.T) {
			in, r, _ := eagerPipe(t)
			r.eager.short = short
			if err := in.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("behind a deadline %d bytes, %v", n, err)
			}
			if err := in.SetReadDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			r.eager.short = short
			closed := make(chan error, 1)
			go func() { closed <- in.Close() }()
			if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrClosed) {
				t.Errorf("of what was closed %d bytes, %v", n, err)
			}
			if err := <-closed; err != nil {
				t.Error(err)
			}
		})
	}
}
