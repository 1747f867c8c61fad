package link_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// ready is a connection that can write without waiting. It notes each call, with how many
// messages it was given.
type ready struct {
	*link.PipeConn
	calls  *[]string
	owes   bool  // keeps the end of the next frame
	broken error // of the next call
}

func (r *ready) note(call string, frames []byte) error {
	messages := 0
	for ; len(frames) > 0; messages++ {
		frames = frames[4+binary.BigEndian.Uint32(frames):]
	}
	*r.calls = append(*r.calls, fmt.Sprint(call, " ", messages))
	return r.broken
}

func (r *ready) TryWriteFrames(frames []byte) (n int, blocked bool, err error) {
	if err := r.note("try", frames); err != nil {
		return 0, false, err
	}
	return len(frames), r.owes, nil
}

func (r *ready) WriteFrames(frames []byte) error {
	r.owes = false
	return r.note("write", frames)
}

// TestAlone: a Dispatch that comes alone writes by itself; what comes at once is left
// to the writer, which also finishes what the connection has left, and what a connection
// has not taken goes over the next one.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		var conn *ready
		l := start(t, link.Options{
			Framing: func(dst []byte, n int) []byte { return binary.BigEndian.AppendUint32(dst, uint32(n)) },
			Backoff: link.Backoff{Max: time.Millisecond},
			Dial: func(context.Context) (link.Conn, error) {
				near, _ := link.Pipe()
				conn = &ready{PipeConn: near, calls: &calls}
				return conn, nil
			},
		})
		if err := l.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		n := 0
		expect := func(events int, want ...string) {
			t.Helper()
			calls = nil
			dispatch(t, l, n, n+events)
			n += events
			time.Sleep(time.Second)
			synctest.Wait()
			if !slices.Equal(calls, want) {
				t.Errorf("%d events at once: %q, want %q", events, calls, want)
			}
		}
		expect(1, "try 1")
		expect(1, "try 1")
		expect(2, "try 1", "write 1")
		conn.owes = true
		expect(1, "try 1", "write 0")
		conn.broken = errors.New("broken")
		expect(1, "try 1", "write 1")
		if l.State() != eventtarget.StateUp {
			t.Error("the link does not connect again")
		}
	})
}
