//go:build unix

package worker_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/worker"
)

// TestWhileDown dispatches exactly while there is no child: from the hook that tells so.
func TestWhileDown(t *testing.T) {
	for policy, want := range map[worker.WhileDown]error{worker.Keep: nil, worker.Refuse: worker.ErrDown} {
		t.Run(strconv.Itoa(int(policy)), func(t *testing.T) {
			const many = 100
			ready, errs := make(chan *worker.Worker, 1), make(chan error, many)
			w, s := start(t, "works", worker.Options{Restart: worker.Always, WhileDown: policy, Options: link.Options{
				Backoff: link.Backoff{Min: time.Millisecond},
				OnState: func(c link.Change) {
					if c.State != eventtarget.StateDown {
						return
					}
					w := <-ready
					for n := range many {
						errs <- w.Dispatch(context.Background(), event{Type: "echo", ID: strconv.Itoa(n)})
					}
				},
			}})
			ready <- w
			if err := w.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			tell(t, w, "exit", "1")
			s.next("last")
			for n := range many {
				if err := <-errs; !errors.Is(err, want) {
					t.Fatalf("dispatched while there is no child: %v, want %v", err, want)
				}
				if want == nil {
					if got := s.next("echoed"); got != strconv.Itoa(n) {
						t.Fatalf("the next child heard %s, want %d", got, n)
					}
				}
			}
			if err := w.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			tell(t, w, "echo", "again")
			if got := s.next("echoed"); got != "again" {
				t.Errorf("the next child heard %s", got)
			}
		})
	}
}

// TestSourceWhileDown: an answer to what a child said is refused like everything else when
// that child has ended.
func TestSourceWhileDown(t *testing.T) {
	source, answered := make(chan eventtarget.Peer, 1), make(chan error, 1)
	w, s := start(t, "works", worker.Options{Restart: worker.Always, WhileDown: worker.Refuse, Options: link.Options{
		Backoff: link.Backoff{Min: time.Millisecond},
		OnState: func(c link.Change) {
			if c.State == eventtarget.StateDown {
				answered <- (<-source).Dispatch(context.Background(), event{Type: "echo"})
			}
		},
	}})
	if err := w.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	tell(t, w, "echo", "1")
	select {
	case e := <-s.events:
		source <- e.Source
	case <-time.After(20 * time.Second):
		t.Fatal("the child says nothing")
	}
	tell(t, w, "exit", "1")
	if err := <-answered; !errors.Is(err, worker.ErrDown) {
		t.Errorf("an answer while there is no child: %v", err)
	}
}

// TestKeepIsBounded: what waits for a child that never comes does not grow for ever.
func TestKeepIsBounded(t *testing.T) {
	w, err := worker.Start(worker.Options{Path: "/none", Restart: worker.Always, Options: link.Options{
		LogEvents: 10, Backoff: link.Backoff{Min: time.Hour, Max: time.Hour}, OnFault: func(eventtarget.Fault) {},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		tell(t, w, "echo", "")
	}
	if err := w.Dispatch(t.Context(), event{Type: "echo"}); !errors.Is(err, eventtarget.ErrOverflow) {
		t.Errorf("one too many: %v", err)
	}
	_ = w.Close()
	<-w.Done()
}

// TestRefusedWhileDown: that there is no child does not hide what is wrong with the call itself.
func TestRefusedWhileDown(t *testing.T) {
	w, err := worker.Start(worker.Options{Path: "/nonexistent", Restart: worker.Always, WhileDown: worker.Refuse, Options: link.Options{
		Backoff: link.Backoff{Min: time.Hour, Max: time.Hour}, OnFault: func(eventtarget.Fault) {},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for want, err := range map[error]error{
		worker.ErrDown:              w.Dispatch(t.Context(), event{Type: "a"}),
		context.Canceled:            w.Dispatch(ended, event{Type: "a"}),
		eventtarget.ErrInvalidTopic: w.Dispatch(t.Context(), event{Type: "a:b"}),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// TestNothingToSubscribe: a child is not asked for topics, so that Add does not wait for an
// answer that never comes.
func TestNothingToSubscribe(t *testing.T) {
	w, err := worker.Start(self(t, "works", worker.Options{Options: link.Options{Subscribe: true}}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { w.Close(); <-w.Done() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	heard := make(chan event, 9)
	if _, err := w.Add(ctx, eventtarget.T("echoed", "*"), eventtarget.Func(func(_ context.Context, e event) { heard <- e })); err != nil {
		t.Fatal(err)
	}
	tell(t, w, "echo", "1")
	<-heard
}
