package hub_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// lingering is a connection that still has something to do when it is closed.
type lingering struct {
	negotiated
	free chan struct{}
}

func (l lingering) Receive() ([]byte, error) {
	msg, err := l.negotiated.Receive()
	<-l.free
	return msg, err
}

// TestDoneWaitsForGreeting: Done waits for the reader of a connection whose peer has not
// said yet what it wants.
func TestDoneWaitsForGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1})
		_, far := link.Pipe()
		l := lingering{negotiated{far}, make(chan struct{})}
		attached := make(chan error, 1)
		go func() {
			_, err := h.Attach(l, hub.Meta{})
			attached <- err
		}()
		synctest.Wait()
		h.Close()
		if err := <-attached; err == nil {
			t.Error("it was attached to a hub that is closed")
		}
		synctest.Wait()
		select {
		case <-h.Done():
			t.Error("Done does not know of the reader")
		default:
		}
		close(l.free)
		<-h.Done()
		if _, err := h.Attach(l, hub.Meta{}); err == nil {
			t.Error("and neither later")
		}
	})
}

// TestFlushLeavesNothing: a Flush that has returned has no goroutine left, although a spoke
// has not answered.
func TestFlushLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1, WriteTimeout: time.Hour})
		p := attach(t, h, hub.Meta{})
		p.conn.Stall()
		count(t, h, 0, 100)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		all, err := h.Flush(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || len(all) != 1 || all[0].Outcome != hub.Pending {
			t.Errorf("Flush: %v, %v", all, err)
		}
		synctest.Wait()
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if strings.Contains(string(stacks), "(*Hub).Flush") {
			t.Errorf("a goroutine is left:\n%s", stacks)
		}
		p.conn.Resume()
		if all, err = h.Flush(t.Context()); err != nil || len(all) != 1 || all[0].Outcome != hub.Out {
			t.Errorf("Flush: %v, %v", all, err)
		}
	})
}

// TestShutdownOvertakenByClose: a Shutdown that waits for a spoke does not say that everything
// was drained when a Close discards what the spoke lacks.
func TestShutdownOvertakenByClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Heartbeat: -1, SessionTimeout: -1})
		p := attach(t, h, hub.Meta{})
		synctest.Wait()
		p.conn.Stall()
		for range 1000 {
			dispatch(t, h, "a", "", `"`+strings.Repeat("x", 1000)+`"`)
		}
		result := make(chan error, 1)
		go func() { result <- h.Shutdown(context.Background()) }()
		synctest.Wait()
		h.Close()
		if err := <-result; !errors.Is(err, eventtarget.ErrClosed) {
			t.Error(err)
		}
		p.conn.Resume()
	})
}
