package link_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

const window = 1 << 20 // that a link grants

// welcomed returns a link in a session and the hub's end of its connection, behind the
// greetings. It dials once.
func welcomed(t *testing.T, o link.Options) (*link.Link, *link.PipeConn) {
	t.Helper()
	near, far := link.Pipe()
	var dialled atomic.Bool
	o.Dial = func(context.Context) (link.Conn, error) {
		if dialled.Swap(true) {
			return nil, errors.New("there is no hub any more")
		}
		return negotiated{near}, nil
	}
	l, err := link.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); <-l.Done() })
	if _, err := far.Receive(); err != nil { // the greeting
		t.Fatal(err)
	}
	if err := far.Send([]byte(`{"type":"__welcome","id":"","payload":{"version":1,"session":"x"}}`)); err != nil {
		t.Fatal(err)
	}
	if err := l.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, far
}

// large is an event of a 16th of the window, or a little more.
func large(n int) []byte {
	return fmt.Appendf(nil, `{"type":"a","id":"%d","payload":"%s"}`, n, strings.Repeat("x", window/16))
}

// TestWindowBreached: of a hub that sends more than it may, no more than so much is taken
// in, and nothing is lost.
func TestWindowBreached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 300
		free, heard := make(chan struct{}), 0
		_, far := welcomed(t, link.Options{Setup: func(l *link.Link) {
			_, err := l.Add(t.Context(), eventtarget.T("a", "*"), eventtarget.Listener[eventtarget.Raw]{
				Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { <-free; heard++ },
			})
			if err != nil {
				t.Error(err)
			}
		}})
		var sent atomic.Int64
		go func() {
			for n := range events {
				if far.Send(large(n)) != nil {
					return
				}
				sent.Add(1)
			}
		}()
		go func() { // what the link acknowledges
			for {
				if _, err := far.Receive(); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		const inPipe, inHand = 64, 2
		if n := sent.Load(); n > 2*16+inPipe+inHand {
			t.Errorf("%d events were taken, of which 16 fill the window", n-inPipe)
		}
		close(free)
		synctest.Wait()
		if heard != events {
			t.Errorf("%d of %d were heard", heard, events)
		}
	})
}

// TestWindowAcknowledged: a hub that has sent a good part of the window need not wait for
// the next acknowledgement that is due.
func TestWindowAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, far := welcomed(t, link.Options{})
		var acks atomic.Int64
		go func() {
			for {
				if _, err := far.Receive(); err != nil {
					return
				}
				acks.Add(1)
			}
		}()
		for n := range 4 {
			if err := far.Send(large(n)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // and no time passes
		if acks.Load() == 0 {
			t.Error("a quarter of the window is not acknowledged")
		}
	})
}

// TestCloseWhileDown: what was on its way when the connection was lost, and is not known to
// have arrived, counts as discarded.
func TestCloseWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var discarded uint64
		l, far := welcomed(t, link.Options{OnFault: func(f eventtarget.Fault) {
			if f.Kind == eventtarget.FaultDiscarded {
				discarded += f.Count
			}
		}})
		for range 3 {
			if err := l.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // until it is sent
		far.Cut()
		synctest.Wait()
		l.Close()
		if discarded != 3 {
			t.Errorf("%d are told to be discarded", discarded)
		}
	})
}

// TestCloseWhileDialling: a connection that is made when the link is closed already is closed,
// too, and holds up nobody.
func TestCloseWhileDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := make(chan struct{})
		near, far := link.Pipe()
		l, err := link.New(link.Options{Dial: func(context.Context) (link.Conn, error) { <-made; return near, nil }})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		close(made)
		synctest.Wait()
		select {
		case <-l.Done():
		default:
			t.Error("the link has not ended")
			far.Cut()
		}
	})
}

// TestResumesAnother: a hub that claims to go on with a session that is not this one's is not
// believed: the link tries again, and asks for a new one.
func TestResumesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialled := make(chan *link.PipeConn, 3)
		l, err := link.New(link.Options{OnFault: func(eventtarget.Fault) {}, Dial: func(context.Context) (link.Conn, error) {
			near, far := link.Pipe()
			dialled <- far
			return negotiated{near}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { l.Close(); <-l.Done() }()
		for n, welcome := range []string{`"session":"x"`, `"session":"y","resumed":true`, `"session":"z"`} {
			far := <-dialled
			hello, err := far.Receive()
			if asks := strings.Contains(string(hello), `"session":"x"`); err != nil || asks != (n == 1) {
				t.Errorf("greeting %d: %s, %v", n, hello, err)
			}
			if err := far.Send([]byte(`{"type":"__welcome","id":"","payload":{"version":1,` + welcome + `}}`)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if up := l.State() == eventtarget.StateUp; up != (n != 1) {
				t.Errorf("behind welcome %d it is %v", n, l.State())
			}
			if n == 0 {
				far.Cut()
			}
		}
	})
}

// choking is a connection on which a message behind the greeting is too large.
type choking struct {
	negotiated
	greeted *bool
}

func (c choking) Receive() ([]byte, error) {
	if msg, err := c.negotiated.Receive(); err != nil || !*c.greeted {
		*c.greeted = true
		return msg, err
	}
	return nil, eventtarget.Reason{Code: eventtarget.CodeTooLarge}
}

// TestTooLarge: a hub whose message is too large is told so, and does not send it again.
func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := hub.New(hub.Options{OnFault: func(eventtarget.Fault) {}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { h.Close(); <-h.Done() }()
		gaps, dials := 0, 0
		l, err := link.New(link.Options{
			Backoff: link.Backoff{Max: time.Second},
			OnFault: func(f eventtarget.Fault) {
				if f.Kind == eventtarget.FaultGap {
					gaps++
				}
			},
			Dial: func(context.Context) (link.Conn, error) {
				near, far := link.Pipe()
				go h.Attach(negotiated{far}, hub.Meta{})
				if dials++; dials == 1 {
					return choking{negotiated{near}, new(bool)}, nil
				}
				return negotiated{near}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { l.Close(); <-l.Done() }()
		synctest.Wait()
		if err := h.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "a"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute / 2) // of the bubble's time, in which a session would go on
		synctest.Wait()
		if dials != 2 || gaps != 1 || h.Len() != 1 {
			t.Errorf("%d connections, %d gaps, %d spokes", dials, gaps, h.Len())
		}
	})
}

// TestNewSessionWhileDelivering: what a listener still has in its hands of a session that is
// over does not count in the next one: the hub would hear that more was received than it sent.
func TestNewSessionWhileDelivering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := make(chan *link.PipeConn, 2)
		free := make(chan struct{})
		start(t, link.Options{
			Heartbeat: -1,
			Dial: func(context.Context) (link.Conn, error) {
				near, far := link.Pipe()
				ends <- far
				return negotiated{near}, nil
			},
			Setup: func(l *link.Link) {
				_, err := l.Add(t.Context(), eventtarget.T("a", "*"), eventtarget.Listener[eventtarget.Raw]{
					Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { <-free },
				})
				if err != nil {
					t.Error(err)
				}
			},
		})
		var far *link.PipeConn
		for _, session := range []string{"x", "y"} { // the second hub knows nothing of the first session
			far = <-ends
			if _, err := far.Receive(); err != nil {
				t.Fatal(err)
			}
			for _, msg := range []string{
				`{"type":"__welcome","id":"","payload":{"version":1,"session":"` + session + `"}}`, `{"type":"a","id":""}`, `{"type":"a","id":""}`,
			} {
				if err := far.Send([]byte(msg)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if session == "x" {
				far.Cut()
			}
		}
		close(free)
		late := time.AfterFunc(time.Second, far.Cut)
		defer late.Stop()
		ack, err := far.Receive()
		if want := `{"type":"__ack","id":"","payload":{"received":2}}`; string(ack) != want {
			t.Errorf("acknowledged %s, %v; want %s", ack, err, want)
		}
	})
}

// TestAcknowledgesTooMuch: a hub that claims to have what was not sent yet is not believed, and
// what is dispatched is sent on.
func TestAcknowledgesTooMuch(t *testing.T) {
	l, far := welcomed(t, link.Options{OnFault: func(eventtarget.Fault) {}})
	const events = 200 // more than a pipe holds
	for n := range events {
		if err := l.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "a", ID: fmt.Sprint(n), Payload: eventtarget.Raw(`"` + strings.Repeat("x", 4<<10) + `"`)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := far.Send(fmt.Appendf(nil, `{"type":"__ack","id":"","payload":{"received":%d}}`, events)); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(10*time.Second, far.Cut)
	defer late.Stop()
	for n := range events {
		msg, err := far.Receive()
		if err != nil || !strings.Contains(string(msg), fmt.Sprintf(`"id":"%d"`, n)) {
			t.Fatalf("received %.60s, %v; want event %d", msg, err, n)
		}
	}
}

// TestRefusedUnacknowledged: what comes while Shutdown waits for listeners is heard by nobody,
// and is not acknowledged.
func TestRefusedUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free, heard := make(chan struct{}), 0
		l, far := welcomed(t, link.Options{Setup: func(l *link.Link) {
			_, err := l.Add(t.Context(), eventtarget.T("a", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[eventtarget.Raw]) {
				<-free
				heard++
			}))
			if err != nil {
				t.Error(err)
			}
		}})
		acknowledged := make(chan string, 100)
		go func() {
			for {
				msg, err := far.Receive()
				if err != nil {
					return
				}
				acknowledged <- string(msg)
			}
		}()
		send := func(n int) {
			if err := far.Send(large(n)); err != nil {
				t.Fatal(err)
			}
		}
		send(0)
		if ack := <-acknowledged; !strings.Contains(ack, `"received":1`) {
			t.Fatalf("acknowledged: %s", ack)
		}
		down := make(chan error, 1)
		go func() { down <- l.Shutdown(t.Context()) }()
		synctest.Wait()
		for n := range 5 {
			send(n + 1)
		}
		time.Sleep(time.Second) // in which it would be acknowledged
		close(free)
		if err := <-down; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for len(acknowledged) > 0 {
			t.Errorf("acknowledged: %s", <-acknowledged)
		}
		if heard != 1 {
			t.Errorf("%d were heard", heard)
		}
	})
}
