package link_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// cutShort is a connection on which a write fails, perhaps within the message, and which does not
// end at once.
type cutShort struct {
	*link.PipeConn
	failed, after atomic.Int32
}

func (c *cutShort) Send(msg []byte) error {
	switch {
	case c.failed.Load() > 0:
		c.after.Add(1)
		return nil
	case strings.Contains(string(msg), "break"):
		c.failed.Add(1)
		return errors.New("deadline exceeded")
	}
	return c.PipeConn.Send(msg)
}

func (c *cutShort) Close(eventtarget.Reason) error { return nil }

// TestNothingFollowsAFailedWrite: the other end might take it for the rest of a message.
func TestNothingFollowsAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		c := &cutShort{PipeConn: near}
		l, err := link.New(link.Options{
			Heartbeat: -1, OnFault: func(eventtarget.Fault) {},
			Dial: func(context.Context) (link.Conn, error) { return c, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"break", "1", "2", "3"} {
			if err := l.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "n", ID: id}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if c.failed.Load() != 1 || c.after.Load() > 0 {
			t.Errorf("%d writes failed, and behind that there were %d", c.failed.Load(), c.after.Load())
		}
		l.Close()
		_ = far.Close(eventtarget.Reason{})
		<-l.Done()
	})
}
