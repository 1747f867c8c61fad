//go:build unix

package worker_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/worker"
)

// foreign is a child without this package, as one in another language: it sends back what
// it gets, and never says what it has handled.
func foreign() {
	in, out := os.NewFile(3, ""), os.NewFile(4, "")
	say := func(msg []byte) {
		_, _ = out.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(msg))), msg...))
	}
	_, cookie, _ := strings.Cut(os.Getenv("EVENTTARGET_WORKER"), " ")
	say(fmt.Appendf(nil, `{"type":"__worker","id":"","payload":{"version":1,"cookie":%q}}`, cookie))
	say([]byte(`{"type":"__ready","id":""}`))
	header := make([]byte, 4)
	for {
		if _, err := io.ReadFull(in, header); err != nil {
			os.Exit(1) // the parent has died
		}
		msg := make([]byte, binary.BigEndian.Uint32(header))
		if len(msg) == 0 {
			say(nil)
			return
		}
		if _, err := io.ReadFull(in, msg); err != nil {
			os.Exit(1)
		}
		say(msg)
	}
}

// TestForeign: the protocol is what docs/worker.md says. Whoever does not say what they
// have handled may have lost it, as far as the parent knows.
func TestForeign(t *testing.T) {
	w, s := start(t, "foreign", worker.Options{})
	const many = 10
	for range 2 {
		for n := range many {
			tell(t, w, "a", strconv.Itoa(n))
			if got := s.next("a"); got != strconv.Itoa(n) {
				t.Fatalf("%d came back as %s", n, got)
			}
		}
		if err := w.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; n <= 2; n++ {
		if exit := s.exit(n); exit.Failed() || exit.Unfinished != many {
			t.Errorf("the end was told as %v, with %d unfinished", exit, exit.Unfinished)
		}
	}
	if err := w.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.faults[len(s.faults)-1]; last.Kind != eventtarget.FaultGap {
		t.Errorf("told %v", s.faults)
	}
}
