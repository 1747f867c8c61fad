package link_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestGoexit: an Inline listener that ends the goroutine does not make the link deaf, and
// does not keep it from ending.
func TestGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		heard := 0
		l := start(t, link.Options{Conn: near, Setup: func(l *link.Link) {
			if _, err := l.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{
				Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { heard++; runtime.Goexit() },
			}); err != nil {
				t.Error(err)
			}
		}})
		for n := range 3 {
			if err := far.Send([]byte(`{"type":"n","id":"` + strconv.Itoa(n) + `"}`)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if heard != 3 {
			t.Errorf("heard %d of 3 events", heard)
		}
		if err := far.Close(eventtarget.Reason{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if s := l.State(); s != eventtarget.StateClosed {
			t.Errorf("it is %v when the connection has ended", s)
		}
	})
}

// TestGoexitAcknowledged: in a session an event whose Inline listener ended the goroutine is
// acknowledged like any other.
func TestGoexitAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, far := welcomed(t, link.Options{OnFault: func(eventtarget.Fault) {}, Setup: func(l *link.Link) {
			if _, err := l.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{
				Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { runtime.Goexit() },
			}); err != nil {
				t.Error(err)
			}
		}})
		for n := range 3 {
			if err := far.Send([]byte(`{"type":"n","id":"` + strconv.Itoa(n) + `"}`)); err != nil {
				t.Fatal(err)
			}
		}
		late := time.AfterFunc(time.Second, far.Cut)
		defer late.Stop()
		ack, err := far.Receive()
		if want := `{"type":"__ack","id":"","payload":{"received":3}}`; string(ack) != want {
			t.Errorf("acknowledged %s, %v; want %s", ack, err, want)
		}
	})
}
