//go:build unix

package worker

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestReadLate: what a child wrote is read, however late after its end that is, also when
// somebody else holds the pipe open.
func TestReadLate(t *testing.T) {
	in, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close() // the grandchild's
	p := newPipes(in, nil, 100, time.Minute)
	const messages = 300
	for n := range messages {
		msg := fmt.Sprint(n)
		if _, err := theirs.Write(append(appendHeader(nil, len(msg)), msg...)); err != nil {
			t.Fatal(err)
		}
	}
	p.in.end()
	<-time.After(2 * grace)
	for n := range messages {
		if msg, err := p.Receive(); err != nil || string(msg) != fmt.Sprint(n) {
			t.Fatalf("message %d: %q, %v", n, msg, err)
		}
	}
	msg, err := p.Receive()
	if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != eventtarget.CodeLost {
		t.Errorf("then %q, %v", msg, err)
	}
}
