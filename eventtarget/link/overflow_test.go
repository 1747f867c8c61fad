package link_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// late is a network whose first connection comes when it is let.
func late(gate <-chan struct{}) (*network, func(context.Context) (link.Conn, error)) {
	net := newNetwork(nil)
	return net, func(ctx context.Context) (link.Conn, error) {
		select {
		case <-gate:
			return net.dial(ctx)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TestReject: what finds no room is refused, and what was accepted arrives.
func TestReject(t *testing.T) {
	for name, o := range map[string]link.Options{
		"events": {LogEvents: 3},
		"bytes":  {LogBytes: 3 * len(`{"type":"t","id":"1","payload":0}`)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := make(chan struct{})
				var net *network
				net, o.Dial = late(gate)
				o.Heartbeat = -1
				l := start(t, o)
				dispatch(t, l, 0, 3)
				for range 2 {
					if err := l.Dispatch(t.Context(), event(9)); !errors.Is(err, eventtarget.ErrOverflow) {
						t.Fatalf("Dispatch into a full log: %v", err)
					}
				}
				close(gate)
				far := <-net.ends
				receive(t, far, 0, 3)
				synctest.Wait()
				dispatch(t, l, 3, 6)
				receive(t, far, 3, 6)
			})
		})
	}
}

// TestBlock: with Block, Dispatch waits for room, for no longer than its context and
// not inside a listener.
func TestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		net, dial := late(gate)
		l := start(t, link.Options{Dial: dial, Heartbeat: -1, LogEvents: 3, Overflow: eventtarget.Block})
		dispatch(t, l, 0, 3)

		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Dispatch(ctx, event(9)); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("Dispatch into a full log: %v after %v", err, time.Since(begin))
		}

		time.AfterFunc(10*time.Second, func() { close(gate) })
		dispatch(t, l, 3, 4)
		// At the moment at which the connection comes, or that its next dial does.
		if took := time.Since(begin); took < 11*time.Second {
			t.Errorf("Dispatch into a full log returned after %v, when there was no connection yet", took)
		}
		receive(t, <-net.ends, 0, 4)
	})
}

func TestBlockInsideListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		l := start(t, link.Options{Conn: near, Heartbeat: -1, LogEvents: 1, WriteTimeout: time.Hour, Overflow: eventtarget.Block})
		result := make(chan error, 1)
		if _, err := l.Add(t.Context(), eventtarget.T("ask", ""), eventtarget.Func(func(ctx context.Context, _ eventtarget.Event[raw]) {
			for {
				if err := l.Dispatch(ctx, event(0)); err != nil {
					result <- err
					return
				}
				synctest.Wait() // until what can be sent is
			}
		})); err != nil {
			t.Fatal(err)
		}
		if err := far.Send([]byte(`{"type":"ask","id":""}`)); err != nil {
			t.Fatal(err)
		}
		if err := <-result; !errors.Is(err, eventtarget.ErrWouldBlock) {
			t.Errorf("Dispatch into a full log inside a listener: %v", err)
		}
	})
}

// TestDown: a link that is told to accept nothing while there is no connection does not
// begin to, nor goes on waiting for room when it is lost.
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDown := errors.New("nobody is there")
		gate := make(chan struct{})
		net, dial := late(gate)
		l := start(t, link.Options{Dial: dial, Down: errDown, Heartbeat: -1, LogEvents: 1, WriteTimeout: time.Hour, Overflow: eventtarget.Block})
		if err := l.Dispatch(t.Context(), event(0)); !errors.Is(err, errDown) {
			t.Errorf("before there was a connection: %v", err)
		}
		close(gate)
		far := <-net.ends
		synctest.Wait()
		result := make(chan error, 1)
		go func() {
			for {
				if err := l.Dispatch(t.Context(), event(1)); err != nil {
					result <- err
					return
				}
			}
		}()
		synctest.Wait() // until nothing finds room any more
		far.Close(eventtarget.Reason{Code: eventtarget.CodeLost})
		if err := <-result; !errors.Is(err, errDown) {
			t.Errorf("waiting for room when the connection was lost: %v", err)
		}
	})
}

// TestCloseWhileBlocked: Close ends a Dispatch that waits, and tells what it discards.
func TestCloseWhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := late(nil)
		faults := make(chan eventtarget.Fault, 10)
		l := start(t, link.Options{Dial: dial, LogEvents: 3, Overflow: eventtarget.Block, OnFault: func(f eventtarget.Fault) { faults <- f }})
		dispatch(t, l, 0, 3)
		result := make(chan error, 1)
		go func() { result <- l.Dispatch(t.Context(), event(3)) }()
		synctest.Wait()
		l.Close()
		if err := <-result; !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Dispatch: %v", err)
		}
		if f := <-faults; f.Kind != eventtarget.FaultDiscarded || f.Count != 3 {
			t.Errorf("told %v", f)
		}
	})
}
