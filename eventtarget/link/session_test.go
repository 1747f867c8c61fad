package link_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// negotiated is a connection both of whose ends know sessions.
type negotiated struct{ *link.PipeConn }

func (negotiated) Protocol() int { return 1 }

// joined is a link to a hub over memory, with what happened to it.
type joined struct {
	*link.Link
	hub *hub.Hub

	mu      sync.Mutex
	conn    *link.PipeConn
	away    bool // there is no hub
	silent  int  // so many greetings are not answered
	changes []link.Change
	faults  []eventtarget.Fault
}

func (j *joined) dial(context.Context) (link.Conn, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.away {
		return nil, eventtarget.Reason{Code: eventtarget.CodeLost, Text: "away"}
	}
	near, far := link.Pipe()
	j.conn = near
	if j.silent > 0 {
		j.silent--
		return negotiated{near}, nil
	}
	go func() { _, _ = j.hub.Attach(negotiated{far}, hub.Meta{}) }()
	return negotiated{near}, nil
}

func (j *joined) cut(away bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.away = away
	j.conn.Cut()
}

func (j *joined) gaps() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range j.faults {
		if f.Kind == eventtarget.FaultGap {
			n++
		}
	}
	return n
}

func join(t *testing.T, o link.Options, ho hub.Options) *joined {
	t.Helper()
	ho.OnFault = func(eventtarget.Fault) {}
	h, err := hub.New(ho)
	if err != nil {
		t.Fatal(err)
	}
	j := &joined{hub: h}
	o.Dial = j.dial
	o.OnFault = func(f eventtarget.Fault) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.faults = append(j.faults, f)
	}
	o.OnState = func(c link.Change) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.changes = append(j.changes, c)
	}
	if j.Link, err = link.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		j.Close()
		h.Close()
	})
	if err := j.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return j
}

func numbered(n int) eventtarget.Event[eventtarget.Raw] {
	return eventtarget.Event[eventtarget.Raw]{Type: "n", ID: strconv.Itoa(n)}
}

// TestSessionReads: a listener that does not return holds up nothing but what is
// delivered: the link reads on, and signs of life pass.
func TestSessionReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, link.Options{}, hub.Options{Heartbeat: time.Second, WriteTimeout: time.Second})
		gate := make(chan struct{})
		heard := 0
		if _, err := j.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{
			Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { <-gate; heard++ },
		}); err != nil {
			t.Fatal(err)
		}
		const events = 5000 // far more than a pipe holds
		for n := range events {
			if err := j.hub.Dispatch(t.Context(), numbered(n)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		if s := j.State(); s != eventtarget.StateUp {
			t.Fatalf("behind a listener that does not return the link is %v", s)
		}
		close(gate)
		synctest.Wait()
		if heard != events || j.gaps() != 0 {
			t.Errorf("heard %d of %d events, %d gaps", heard, events, j.gaps())
		}
	})
}

// TestSessionStates: resumed and new connections can be told apart, and a new session
// is told as one gap.
func TestSessionStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, link.Options{Backoff: link.Backoff{Min: time.Second, Max: time.Second}}, hub.Options{SessionTimeout: time.Minute})
		j.cut(false)
		time.Sleep(2 * time.Second)
		j.cut(true)
		time.Sleep(2 * time.Minute) // longer than the session lasts
		j.mu.Lock()
		j.away = false
		j.mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		j.mu.Lock()
		var up []bool
		for _, c := range j.changes {
			if c.State == eventtarget.StateUp {
				up = append(up, c.Resumed)
			}
		}
		j.mu.Unlock()
		if len(up) != 3 || up[0] || !up[1] || up[2] || j.gaps() != 1 {
			t.Errorf("connections that were resumed: %v; %d gaps", up, j.gaps())
		}
	})
}

// TestSessionShutdown: what was accepted while the link is down arrives before
// Shutdown returns.
func TestSessionShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, link.Options{}, hub.Options{})
		var mu sync.Mutex
		heard := 0
		if _, err := j.hub.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[eventtarget.Raw]) {
			mu.Lock()
			defer mu.Unlock()
			heard++
		})); err != nil {
			t.Fatal(err)
		}
		j.cut(true)
		synctest.Wait()
		for n := range 100 {
			if err := j.Dispatch(t.Context(), numbered(n)); err != nil {
				t.Fatal(err)
			}
		}
		time.AfterFunc(time.Minute/2, func() { j.mu.Lock(); defer j.mu.Unlock(); j.away = false })
		if err := j.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if heard != 100 {
			t.Errorf("%d of 100 events were heard", heard)
		}
	})
}

// TestSessionFull: what is not acknowledged counts for the bounds of what waits.
func TestSessionFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, link.Options{LogEvents: 10}, hub.Options{})
		j.cut(true)
		synctest.Wait()
		accepted := 0
		for j.Dispatch(t.Context(), numbered(accepted)) == nil {
			accepted++
		}
		if accepted != 10 {
			t.Errorf("%d events were accepted, want 10", accepted)
		}
	})
}

// TestSessionPaced: a hub that waits for an acknowledgement of a peer that reads well is
// not outrun by those who dispatch.
func TestSessionPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, link.Options{}, hub.Options{SpokeBytes: 4 << 10, LogEvents: 400})
		heard := 0
		if _, err := j.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{
			Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { heard++ },
		}); err != nil {
			t.Fatal(err)
		}
		const events = 5000
		for n := range events {
			if err := j.hub.Dispatch(t.Context(), numbered(n)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if heard != events || j.gaps() != 0 {
			t.Errorf("heard %d of %d events, %d gaps", heard, events, j.gaps())
		}
	})
}

// TestSessionAnswerLate: a hub that is too busy to answer a greeting in time is asked again,
// and the session goes on; what never answers again is another peer, and plain.
func TestSessionAnswerLate(t *testing.T) {
	for silent, resumed := range map[int]bool{1: true, 3: true, 4: false} {
		synctest.Test(t, func(t *testing.T) {
			j := join(t, link.Options{Backoff: link.Backoff{Min: time.Millisecond, Max: time.Millisecond}}, hub.Options{})
			j.mu.Lock()
			j.silent = silent
			j.mu.Unlock()
			j.cut(false)
			time.Sleep(30 * time.Second)
			synctest.Wait()
			j.mu.Lock()
			last := j.changes[len(j.changes)-1]
			j.mu.Unlock()
			if last.State != eventtarget.StateUp || last.Resumed != resumed {
				t.Errorf("%d greetings without an answer: %+v", silent, last)
			}
		})
	}
}

// silent is a connection that breaks, without a word, just when the link gives up waiting
// for an answer to its greeting.
type silent struct{ negotiated }

func (s silent) Receive() ([]byte, error) {
	<-time.After(5 * time.Second) // DialTimeout, of the bubble's time
	return nil, eventtarget.Reason{Code: eventtarget.CodeLost}
}

// TestSilentBreaks: such a connection is down, whichever comes first.
func TestSilentBreaks(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			l, err := link.New(link.Options{
				Dial: func(context.Context) (link.Conn, error) {
					near, _ := link.Pipe()
					return silent{negotiated{near}}, nil
				},
				Backoff: link.Backoff{Min: time.Hour, Max: time.Hour}, OnFault: func(eventtarget.Fault) {},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { l.Close(); <-l.Done() }()
			time.Sleep(6 * time.Second)
			if s := l.State(); s != eventtarget.StateDown {
				t.Errorf("it is %v", s)
			}
		})
	}
}
