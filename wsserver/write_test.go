package wsserver

import (
	"errors"
	"io"
	"net"
	"testing"
)

// TestNothingBehindClose: what is being written when the connection is closed comes before
// the close frame, and nothing comes behind it.
func TestNothingBehindClose(t *testing.T) {
	conn, peer := net.Pipe()
	defer peer.Close()
	s := new(connection)
	s.over(conn)
	s.rest = []byte("cut ") // by a full socket
	written := make(chan error, 1)
	go func() { written <- s.WriteFrames([]byte("data ")) }()
	if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil { // the rest is under way
		t.Fatal(err)
	}
	last := closeFrame(1000, "")
	if err := s.putControl(last); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("ut data ")+len(last))
	if _, err := io.ReadFull(peer, got); err != nil {
		t.Fatal(err)
	}
	if want := "ut data " + string(last); string(got) != want {
		t.Errorf("the peer reads %q, want %q", got, want)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	if err := s.WriteFrames([]byte("late")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("behind the close frame: %v", err)
	}
}
