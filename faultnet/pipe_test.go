package faultnet_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/faultnet"
)

func newPipe(t *testing.T) *faultnet.Pipe {
	t.Helper()
	p, err := faultnet.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	deadline := time.Now().Add(10 * time.Second)
	for _, f := range []*os.File{p.Client.In, p.Client.Out, p.Server.In, p.Server.Out} {
		if err := f.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// TestPipe: what is said at either end is heard at the other, in pieces and late if it is
// told so, and so is the end.
func TestPipe(t *testing.T) {
	p := newPipe(t)
	for n, ends := range [][2]faultnet.Files{{p.Client, p.Server}, {p.Server, p.Client}} {
		said := bytes.Repeat([]byte{byte(n), 7}, 50_000)
		go func() {
			_, _ = ends[0].Out.Write(said)
			_ = ends[0].Out.Close()
		}()
		if heard, err := io.ReadAll(ends[1].In); err != nil || !bytes.Equal(heard, said) {
			t.Errorf("heard %d bytes, %v", len(heard), err)
		}
	}
	p = newPipe(t)
	p.Shred(1)
	p.Delay(10 * time.Millisecond)
	began := time.Now()
	if _, err := p.Client.Out.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if n, err := p.Server.In.Read(b); n != 1 || err != nil {
		t.Errorf("read %d bytes at once, %v", n, err)
	}
	if _, err := io.ReadFull(p.Server.In, b[1:]); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("five late bytes came after %v", took)
	}
}

// TestPipeStallAndCut: one direction stalls and the other does not; a cut ends both.
func TestPipeStallAndCut(t *testing.T) {
	p := newPipe(t)
	p.Stall(faultnet.ToServer)
	if _, err := p.Client.Out.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := p.Server.Out.WriteString("y"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p.Client.In, b); err != nil || b[0] != 'y' {
		t.Fatalf("the other direction has %q, %v", b, err)
	}
	_ = p.Server.In.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := p.Server.In.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("what stalls brings %q, %v", b, err)
	}
	_ = p.Server.In.SetReadDeadline(time.Now().Add(10 * time.Second))
	p.Heal()
	if _, err := io.ReadFull(p.Server.In, b); err != nil || b[0] != 'x' {
		t.Fatalf("when it is over it brings %q, %v", b, err)
	}
	p.Stall()
	p.Cut()
	for _, f := range []faultnet.Files{p.Client, p.Server} {
		if _, err := f.In.Read(b); !errors.Is(err, io.EOF) {
			t.Errorf("what was cut is read with %v", err)
		}
		if _, err := f.Out.WriteString("z"); err == nil {
			t.Error("what was cut is written to")
		}
	}
}
