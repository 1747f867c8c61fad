package link_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestOver: a listener that waits for a link to be up is told when it never will be; otherwise
// the link, which waits for its listeners, would never end.
func TestOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		var l *link.Link
		ready := make(chan error, 1)
		l = start(t, link.Options{Conn: near, Heartbeat: -1, Setup: func(l *link.Link) {
			if _, err := l.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Func(func(ctx context.Context, _ eventtarget.Event[raw]) {
				synctest.Wait() // until the connection has ended
				ready <- l.Ready(ctx)
			})); err != nil {
				t.Error(err)
			}
		}})
		if err := far.Send([]byte(`{"type":"n","id":""}`)); err != nil {
			t.Fatal(err)
		}
		far.Close(eventtarget.Reason{})
		if err := <-ready; !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Ready: %v", err)
		}
		<-l.Done()
	})
}

// TestOverAdd: an Add that waits for a hub does not succeed when the link ends, whether or not
// that waits for other listeners.
func TestOverAdd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		free := make(chan struct{})
		l := start(t, link.Options{Conn: near, Heartbeat: -1, Subscribe: true, Setup: func(l *link.Link) {
			if _, err := l.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) { <-free })); err != nil {
				t.Error(err)
			}
		}})
		added := make(chan error, 1)
		go func() {
			_, err := l.Add(t.Context(), eventtarget.T("o", ""), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {}))
			added <- err
		}()
		if err := far.Send([]byte(`{"type":"n","id":""}`)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		far.Close(eventtarget.Reason{})
		if err := <-added; !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Add: %v", err)
		}
		close(free)
		<-l.Done()
	})
}

// acknowledging is a connection that counts what was delivered.
type acknowledging struct {
	*link.PipeConn
	delivered atomic.Int32
}

func (a *acknowledging) Delivered() { a.delivered.Add(1) }

// TestAcknowledger: what nobody hears, because the link waits for its listeners to end, does not
// count as delivered.
func TestAcknowledger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		conn, free := &acknowledging{PipeConn: near}, make(chan struct{})
		l := start(t, link.Options{Conn: conn, Heartbeat: -1, Setup: func(l *link.Link) {
			if _, err := l.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) { <-free })); err != nil {
				t.Error(err)
			}
		}})
		send := func(msg string) {
			if err := far.Send([]byte(msg)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		send(`{"type":"n","id":""}`)
		send(`nonsense`)
		go l.Shutdown(context.WithoutCancel(t.Context()))
		synctest.Wait()
		send(`{"type":"n","id":""}`)
		close(free)
		<-l.Done()
		if n := conn.delivered.Load(); n != 2 {
			t.Errorf("%d messages count as delivered, not 2", n)
		}
	})
}
