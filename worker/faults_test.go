//go:build unix

package worker

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// TestBadPipes: over pipes that bring a byte at a time, and that stand still for a while,
// everything arrives once and in order both ways; when they are cut both ends are told.
func TestBadPipes(t *testing.T) {
	net, err := faultnet.NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Close)
	limit := wire.MaxFrame(eventtarget.Limits{}.WithDefaults())
	parent := newPipes(net.Server.In, net.Server.Out, limit, time.Minute)
	child := &inbound{pipes: newPipes(net.Client.In, net.Client.Out, limit, time.Minute)}
	const events = 1000
	var ends []*link.Link
	heard := []chan string{make(chan string, events), make(chan string, events)}
	for i, conn := range []link.Conn{parent, child} {
		l, err := link.New(link.Options{Adapter: adapter, Conn: conn, Framing: appendHeader, OnFault: func(eventtarget.Fault) {}, Setup: func(l *link.Link) {
			child.link = l // the last one
			if _, err := l.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
				heard[i] <- string(e.Payload)
			})); err != nil {
				t.Error(err)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		ends = append(ends, l)
	}
	late := time.After(30 * time.Second)
	for _, fault := range []func(){func() {}, func() { net.Shred(1) }, func() { net.Stall(); time.AfterFunc(100*time.Millisecond, net.Heal) }} {
		fault()
		for i, l := range ends {
			for n := range events {
				if err := l.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "n", Payload: eventtarget.Raw(strconv.Itoa(n))}); err != nil {
					t.Fatal(err)
				}
			}
			for n := range events {
				select {
				case got := <-heard[1-i]:
					if got != strconv.Itoa(n) {
						t.Fatalf("end %d hears %s, want %d", 1-i, got, n)
					}
				case <-late:
					t.Fatalf("end %d has not heard %d", 1-i, n)
				}
			}
		}
	}
	net.Cut()
	for i, l := range ends {
		select {
		case <-l.Done():
		case <-late:
			t.Fatalf("end %d does not notice the cut", i)
		}
		var reason eventtarget.Reason
		if err := l.Ready(t.Context()); !errors.As(err, &reason) || reason.Code != eventtarget.CodeLost {
			t.Errorf("end %d ended with %v", i, err)
		}
	}
}

// TestHandOverToNobody: a place that was just made anew has no child yet. Its first one is as
// good as the one that was to take over, which ends.
func TestHandOverToNobody(t *testing.T) {
	some := func() *child {
		near, far, err := both(eventtarget.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = far.Close(eventtarget.Reason{Code: eventtarget.CodeLost}) })
		c := &child{pipes: near, opts: Options{TermTimeout: time.Minute}, cmd: &exec.Cmd{}, stderr: &printer{}, gone: make(chan struct{})}
		go func() {
			<-near.closed
			close(c.gone)
		}()
		return c
	}
	l := newLine()
	defer l.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
	first, next := some(), some()
	l.replace = func(context.Context, *child, error) (*child, error) { return first, nil }
	handed := make(chan error, 1)
	go func() { handed <- l.handOver(t.Context(), next) }()
	<-next.closed // it is not needed
	go func() { _, _ = l.Receive() }()
	if err := <-handed; err != nil {
		t.Error(err)
	}
	if c, _ := l.current(); c != first {
		t.Error("another child is there than the first")
	}
}
