package link_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestFlush: it waits until what was dispatched before is out: with a plain peer written, in a
// session acknowledged, over another connection if it must be.
func TestFlush(t *testing.T) {
	flush := func(t *testing.T, l *link.Link) error {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return l.Flush(ctx)
	}
	t.Run("plain", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := link.Pipe()
			l, err := link.New(link.Options{Conn: near, OnFault: func(eventtarget.Fault) {}})
			if err != nil {
				t.Fatal(err)
			}
			far.Stall()
			if err := flush(t, l); err != nil {
				t.Errorf("with nothing to send: %v", err)
			}
			const many = 100 // more than the connection holds
			for n := range many {
				if err := l.Dispatch(t.Context(), numbered(n)); err != nil {
					t.Fatal(err)
				}
			}
			if err := flush(t, l); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("before the other end reads: %v", err)
			}
			far.Resume()
			for range many {
				if _, err := far.Receive(); err != nil {
					t.Fatal(err)
				}
			}
			if err := flush(t, l); err != nil {
				t.Errorf("behind that: %v", err)
			}
			_ = l.Close()
			<-l.Done()
		})
	})
	t.Run("session", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			j := join(t, link.Options{}, hub.Options{})
			var inside error
			if _, err := j.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{
				Inline: true, Handle: func(ctx context.Context, _ eventtarget.Event[eventtarget.Raw]) { inside = j.Flush(ctx) },
			}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			j.conn.Stall()
			if err := j.Dispatch(t.Context(), numbered(0)); err != nil {
				t.Fatal(err)
			}
			if err := flush(t, j.Link); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("sent, and not acknowledged: %v", err)
			}
			j.conn.Resume()
			if err := flush(t, j.Link); err != nil {
				t.Errorf("acknowledged: %v", err)
			}
			j.cut(true)
			if err := j.Dispatch(t.Context(), numbered(1)); err != nil {
				t.Fatal(err)
			}
			if err := flush(t, j.Link); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("while the hub is away: %v", err)
			}
			j.mu.Lock()
			j.away = false
			j.mu.Unlock()
			if err := j.Flush(t.Context()); err != nil {
				t.Errorf("when it is back: %v", err)
			}
			if err := j.hub.Dispatch(t.Context(), numbered(2)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if !errors.Is(inside, eventtarget.ErrWouldBlock) {
				t.Errorf("in an Inline listener: %v", inside)
			}
			j.cut(true)
			if err := j.Dispatch(t.Context(), numbered(3)); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() { _ = j.Close() })
			if err := j.Flush(t.Context()); !errors.Is(err, eventtarget.ErrClosed) {
				t.Errorf("when the link is closed: %v", err)
			}
		})
	})
}
