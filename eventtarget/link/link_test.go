package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

type raw = eventtarget.Raw

// start returns a link that is closed, and has ended, when the test is over.
func start(t *testing.T, o link.Options) *link.Link {
	t.Helper()
	if o.OnFault == nil {
		o.OnFault = func(eventtarget.Fault) {}
	}
	l, err := link.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); <-l.Done() })
	return l
}

func event(n int) eventtarget.Event[raw] {
	return eventtarget.Event[raw]{Type: "t", ID: "1", Payload: fmt.Append(nil, n)}
}

// dispatch dispatches numbers.
func dispatch(t *testing.T, l *link.Link, from, upto int) {
	t.Helper()
	for n := from; n < upto; n++ {
		if err := l.Dispatch(t.Context(), event(n)); err != nil {
			t.Fatalf("Dispatch of %d: %v", n, err)
		}
	}
}

// receive expects numbers at the other end of a link's connection.
func receive(t *testing.T, conn link.Conn, from, upto int) {
	t.Helper()
	for n := from; n < upto; n++ {
		msg, err := conn.Receive()
		if err != nil {
			t.Fatalf("instead of %d: %v", n, err)
		}
		var m struct{ Payload int }
		if err := json.Unmarshal(msg, &m); err != nil || m.Payload != n {
			t.Fatalf("received %s, %v; want %d", msg, err, n)
		}
	}
}

// drain reads a connection until it ends, as an end that is alive does.
func drain(conn link.Conn) {
	for {
		if _, err := conn.Receive(); err != nil {
			return
		}
	}
}

// network is what a link dials into.
type network struct {
	begin time.Time

	mu    sync.Mutex
	dials []time.Duration // since the beginning
	fail  func(n int) error
	ends  chan *link.PipeConn // the far ends
}

func newNetwork(fail func(n int) error) *network {
	return &network{begin: time.Now(), fail: fail, ends: make(chan *link.PipeConn, 100)}
}

func (n *network) dial(context.Context) (link.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials = append(n.dials, time.Since(n.begin))
	if n.fail != nil {
		if err := n.fail(len(n.dials)); err != nil {
			return nil, err
		}
	}
	near, far := link.Pipe()
	n.ends <- far
	return near, nil
}

func (n *network) dialled() []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dials)
}

func TestOptions(t *testing.T) {
	near, _ := link.Pipe()
	dial := newNetwork(nil).dial
	for name, o := range map[string]link.Options{
		"neither Dial nor Conn": {},
		"both":                  {Dial: dial, Conn: near},
		"DropOldest":            {Dial: dial, Overflow: eventtarget.DropOldest},
		"negative bound":        {Dial: dial, LogEvents: -1},
		"negative time":         {Dial: dial, WriteTimeout: -1},
		"negative pause":        {Dial: dial, Backoff: link.Backoff{Max: -1}},
	} {
		l, err := link.New(o)
		if e, ok := errors.AsType[*eventtarget.Error](err); l != nil || !ok || e.Op != "open" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHeartbeat: an end that gives no sign of life is given up after Misses
// unanswered pings, and one that answers never is.
func TestHeartbeat(t *testing.T) {
	const interval = 10 * time.Second
	for name, c := range map[string]struct {
		options link.Options
		alive   bool
		want    time.Duration // 0: it stays up
	}{
		"silent":              {link.Options{Heartbeat: interval}, false, 3 * interval},
		"silent, more misses": {link.Options{Heartbeat: interval, Misses: 5}, false, 6 * interval},
		"silent, by default":  {link.Options{}, false, 45 * time.Second},
		"silent, not asked":   {link.Options{Heartbeat: -1}, false, 0},
		"answers":             {link.Options{Heartbeat: interval}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := link.Pipe()
				if c.alive {
					go drain(far)
				}
				c.options.Conn = near
				begin := time.Now()
				l := start(t, c.options)
				select {
				case <-l.Done():
					if took := time.Since(begin); took != c.want {
						t.Errorf("given up after %v, want %v", took, c.want)
					}
					err := l.Ready(t.Context())
					if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != eventtarget.CodeTimeout || r.Remote {
						t.Errorf("Ready: %v", err)
					}
				case <-time.After(time.Hour):
					if c.want != 0 {
						t.Errorf("not given up")
					}
				}
			})
		})
	}
}

// TestHeartbeatAfterSilence: a sign of life in time makes the count begin again.
func TestHeartbeatAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		l := start(t, link.Options{Conn: near, Heartbeat: 10 * time.Second})
		for range 5 {
			time.Sleep(25 * time.Second) // two pings are unanswered
			if err := far.Send([]byte(`{"type":"t","id":"1"}`)); err != nil {
				t.Fatal(err)
			}
		}
		if s := l.State(); s != eventtarget.StateUp {
			t.Fatalf("an end that speaks now and then left the link %v", s)
		}
		begin := time.Now()
		<-l.Done()
		if took := time.Since(begin); took < 30*time.Second || took > 40*time.Second {
			t.Errorf("given up after %v of silence", took)
		}
	})
}

// TestBackoff: the pauses are random and grow up to Max.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(func(int) error { return errors.New("refused") })
		start(t, link.Options{Dial: net.dial, Backoff: link.Backoff{Min: 100 * time.Millisecond, Max: 10 * time.Second}})
		time.Sleep(30 * time.Minute)
		dials := net.dialled()
		if len(dials) < 180 || dials[0] != 0 {
			t.Fatalf("dialled %d times, first after %v", len(dials), dials[0])
		}
		seen := map[time.Duration]bool{}
		var longest time.Duration
		for n := range len(dials) - 1 {
			pause := dials[n+1] - dials[n]
			failing := dials[n] - dials[0]
			most := min(max(100*time.Millisecond, failing*5/2), 10*time.Second)
			if least := min(failing/2, most/5); pause <= least || pause > most {
				t.Errorf("pause %d is %v, not between %v and %v", n, pause, least, most)
			}
			seen[pause] = true
			longest = max(longest, pause)
		}
		if len(seen) < len(dials)/2 || longest < 5*time.Second {
			t.Errorf("of %d pauses %d differ; the longest is %v", len(dials)-1, len(seen), longest)
		}
	})
}

// TestBackoffHealthy: only a connection that lasted makes the pauses begin at Min
// again; one that is hung up at once does not.
func TestBackoffHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const failures = 25 // the next pause is up to 2²⁵ ms
		net := newNetwork(func(n int) error {
			if n <= failures {
				return errors.New("refused")
			}
			return nil
		})
		start(t, link.Options{Dial: net.dial, Heartbeat: -1, Backoff: link.Backoff{
			Min: time.Millisecond, Max: 10_000 * time.Hour, Healthy: 10 * time.Second,
		}})
		pauseAfter := func(lasting time.Duration) time.Duration {
			far := <-net.ends
			time.Sleep(lasting)
			far.Cut()
			cut := time.Since(net.begin)
			next := <-net.ends // the next one, put back
			net.ends <- next
			dials := net.dialled()
			return dials[len(dials)-1] - cut
		}
		if pause := pauseAfter(10*time.Second - 1); pause <= time.Millisecond {
			t.Errorf("after a short connection it pauses for %v, as at first", pause)
		}
		if pause := pauseAfter(10 * time.Second); pause > time.Millisecond {
			t.Errorf("after a healthy connection it pauses for %v", pause)
		}
	})
}

// TestTerminal: an end that does not want us is not asked again.
func TestTerminal(t *testing.T) {
	policy := eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "banned"}
	for name, c := range map[string]struct {
		dial  error
		close eventtarget.Reason
		again bool
	}{
		"refuses with forbidden":  {dial: fmt.Errorf("%w: 403", eventtarget.ErrForbidden)},
		"closes with policy":      {close: policy},
		"refuses otherwise":       {dial: errors.New("connection refused"), again: true},
		"closes to come back":     {close: eventtarget.Reason{Code: eventtarget.CodeRestart}, again: true},
		"closes because too slow": {close: eventtarget.Reason{Code: eventtarget.CodeSlow}, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newNetwork(func(int) error { return c.dial })
				l := start(t, link.Options{Dial: net.dial, Heartbeat: -1})
				if c.dial == nil {
					_ = (<-net.ends).Close(c.close)
				}
				time.Sleep(time.Hour)
				if got := len(net.dialled()) > 1; got != c.again {
					t.Errorf("dialled again: %v", got)
				}
				if c.again {
					if s := l.State(); s == eventtarget.StateClosed {
						t.Error("the link is closed")
					}
					return
				}
				<-l.Done()
				err := l.Ready(t.Context())
				if !errors.Is(err, eventtarget.ErrClosed) {
					t.Errorf("Ready: %v", err)
				}
				want := policy
				want.Remote = true
				if r, ok := errors.AsType[eventtarget.Reason](err); !errors.Is(err, eventtarget.ErrForbidden) && (!ok || r != want) {
					t.Errorf("Ready does not say why: %v", err)
				}
				if err := l.Dispatch(t.Context(), event(0)); !errors.Is(err, eventtarget.ErrClosed) {
					t.Errorf("Dispatch: %v", err)
				}
			})
		})
	}
}

// TestWriteTimeout: an end that takes nothing is given up, and what it has not
// taken goes out over the next connection.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout, taken, all = 3 * time.Second, 64, 100 // a pipe holds 64
		net := newNetwork(nil)
		l := start(t, link.Options{
			Dial: net.dial, Heartbeat: -1, WriteTimeout: timeout,
			Backoff: link.Backoff{Min: time.Millisecond, Max: time.Millisecond},
		})
		first := <-net.ends
		begin := time.Now()
		dispatch(t, l, 0, all)
		second := <-net.ends
		if took := time.Since(begin); took < timeout || took > timeout+time.Millisecond {
			t.Errorf("given up after %v, want %v", took, timeout)
		}
		receive(t, first, 0, taken)
		_, err := first.Receive()
		if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != eventtarget.CodeSlow || !r.Remote {
			t.Errorf("the end that took nothing is told %v", err)
		}
		receive(t, second, taken, all)
	})
}

// TestWriteTimeoutIsPerMessage: an end that is slow, but takes one message after
// the other, stays.
func TestWriteTimeoutIsPerMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		l := start(t, link.Options{Conn: near, Heartbeat: -1, WriteTimeout: 3 * time.Second})
		dispatch(t, l, 0, 100)
		for n := range 100 {
			time.Sleep(2 * time.Second)
			receive(t, far, n, n+1)
		}
		if s := l.State(); s != eventtarget.StateUp {
			t.Errorf("the link is %v", s)
		}
	})
}

func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := make(chan time.Duration, 1)
		causes := make(chan error, 1)
		begin := time.Now()
		start(t, link.Options{
			DialTimeout: 7 * time.Second,
			Backoff:     link.Backoff{Min: time.Hour, Max: 10 * time.Hour},
			Dial: func(ctx context.Context) (link.Conn, error) {
				<-ctx.Done()
				select {
				case took <- time.Since(begin):
				default:
				}
				return nil, ctx.Err()
			},
			OnState: func(c link.Change) {
				select {
				case causes <- c.Cause:
				default:
				}
			},
		})
		if got := <-took; got != 7*time.Second {
			t.Errorf("Dial was ended after %v", got)
		}
		if cause := <-causes; !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("it is down because of %v", cause)
		}
	})
}

// TestCloseEndsDial: Close does not wait for the dial timeout.
func TestCloseEndsDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		l := start(t, link.Options{DialTimeout: time.Hour, Dial: func(ctx context.Context) (link.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		synctest.Wait()
		l.Close()
		<-l.Done()
		if took := time.Since(begin); took != 0 {
			t.Errorf("ended after %v", took)
		}
	})
}

// TestOnState: every change is told, in order, with its cause.
func TestOnState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type change struct {
			state eventtarget.State
			cause string
		}
		var mu sync.Mutex
		var heard []change
		net := newNetwork(func(n int) error {
			if n == 1 {
				return errors.New("refused")
			}
			return nil
		})
		l := start(t, link.Options{
			Dial: net.dial, Heartbeat: -1,
			OnState: func(c link.Change) {
				mu.Lock()
				defer mu.Unlock()
				heard = append(heard, change{c.State, fmt.Sprint(c.Cause)})
			},
		})
		if s := l.State(); s != eventtarget.StateConnecting && s != eventtarget.StateDown {
			t.Errorf("it begins %v", s)
		}
		far := <-net.ends
		if err := l.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = far.Close(eventtarget.Reason{Code: eventtarget.CodeRestart, Text: "soon"})
		<-net.ends
		if err := l.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.Close()
		<-l.Done()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		want := []change{
			{eventtarget.StateDown, "refused"},
			{eventtarget.StateUp, "<nil>"},
			{eventtarget.StateDown, "restart: soon"},
			{eventtarget.StateUp, "<nil>"},
			{eventtarget.StateClosed, "target is closed"},
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %v, want %v", heard, want)
		}
	})
}

// TestRetryHint: an end that says when it wants us back is asked then.
func TestRetryHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork(nil)
		start(t, link.Options{Dial: net.dial, Heartbeat: -1})
		for n, hint := range []time.Duration{3 * time.Second, time.Hour} {
			far := <-net.ends
			closed := time.Since(net.begin)
			if err := far.Close(eventtarget.Reason{Code: eventtarget.CodeRestart, Retry: hint}); err != nil {
				t.Fatal(err)
			}
			net.ends <- <-net.ends // the next one is there
			if pause, want := net.dialled()[n+1]-closed, min(hint, 5*time.Minute); pause != want {
				t.Errorf("after a hint of %v it pauses for %v", hint, pause)
			}
		}
	})
}
