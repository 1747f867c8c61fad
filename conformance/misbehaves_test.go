package conformance_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// asks asks one law of what wrap makes of a target, and wants to see it fail with a word.
func asks(t *testing.T, law, word string, wrap func(e eventtarget.Endpoint) eventtarget.Endpoint) {
	t.Helper()
	report := conformance.Check(t.Context(), conformance.Harness{
		Name:    "misbehaves",
		Caps:    conformance.Capabilities{Topology: conformance.Local, Echo: true},
		Timeout: 200 * time.Millisecond,
		New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
			target := inprocess.New(&inprocess.Options[eventtarget.Raw]{OnFault: s.FaultsOf(0)})
			return &conformance.Rig{Endpoints: []eventtarget.Endpoint{wrap(target)}}, nil
		},
	}, law)
	if r := report.Results[0]; r.Outcome != conformance.Failed || !strings.Contains(r.Detail, word) {
		t.Errorf("%s: %s, %s", law, r.Outcome, r.Detail)
	}
}

// TestEndsGoroutine: a law whose goroutine was ended under it, as a harness does that calls
// a test's Fatal, was not seen to hold.
func TestEndsGoroutine(t *testing.T) {
	asks(t, "A01", "goroutine was ended", func(eventtarget.Endpoint) eventtarget.Endpoint {
		runtime.Goexit()
		return nil
	})
}

type closePanics struct{ eventtarget.Endpoint }

func (e closePanics) Close() error {
	_ = e.Endpoint.Close()
	panic("no way out")
}

// TestClosePanics: a Close that panics when the law is over is told, as one inside of it is.
func TestClosePanics(t *testing.T) {
	asks(t, "A01", "no way out", func(e eventtarget.Endpoint) eventtarget.Endpoint { return closePanics{e} })
}

// twice calls each listener twice, and for Once too, without anything that recovers.
type twice struct{ eventtarget.Endpoint }

func (e twice) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	handle := l.Handle
	l.Handle = func(ctx context.Context, ev eventtarget.Event[eventtarget.Raw]) {
		done := make(chan struct{})
		go func() { // where a panic ends the process
			defer close(done)
			handle(ctx, ev)
			handle(ctx, ev)
		}()
		<-done
	}
	return e.Endpoint.Add(ctx, topic, l)
}

// TestHeardTwice: a target that delivers everything twice is told to, and its goroutines
// are not ended by the law's own listeners.
func TestHeardTwice(t *testing.T) {
	asks(t, "A01", "", func(e eventtarget.Endpoint) eventtarget.Endpoint { return twice{e} })
}

// neverClosed takes events for ever, until somebody has asked too often.
type neverClosed struct {
	eventtarget.Endpoint
	late *atomic.Int32 // how often it was asked when that was over
}

func (e neverClosed) Dispatch(ctx context.Context, ev eventtarget.Event[eventtarget.Raw]) error {
	if ctx.Err() != nil && e.late.Add(1) > 10 {
		runtime.Goexit()
	}
	<-time.After(time.Millisecond)
	_ = e.Endpoint.Dispatch(context.WithoutCancel(ctx), ev)
	return nil
}

// TestNeverClosed: a target that accepts behind its Close, whatever its context says, does
// not keep a loop of the law's busy when that is over.
func TestNeverClosed(t *testing.T) {
	var late atomic.Int32
	synctest.Test(t, func(t *testing.T) {
		asks(t, "A31", "after Close", func(e eventtarget.Endpoint) eventtarget.Endpoint { return neverClosed{e, &late} })
		time.Sleep(time.Second) // the bubble's: all that is under way ends, or goes on and on
	})
	if n := late.Load(); n > 1 {
		t.Errorf("when the law was over it was asked %d times", n)
	}
}

// TestLocal: the one endpoint of a Local rig hears itself, also where nobody has said Echo.
func TestLocal(t *testing.T) {
	report := conformance.Check(t.Context(), conformance.Harness{
		Name: "local",
		Caps: conformance.Capabilities{Topology: conformance.Local},
		New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
			return &conformance.Rig{Endpoints: []eventtarget.Endpoint{inprocess.New(&inprocess.Options[eventtarget.Raw]{OnFault: s.FaultsOf(0)})}}, nil
		},
	}, "A01", "C01", "C02")
	if !report.OK() {
		t.Errorf("%s\n%s", report.Summary(), report.Results[0].Detail)
	}
}

// TestHalfARig: what there is of a rig that could not be made whole is taken down.
func TestHalfARig(t *testing.T) {
	target := inprocess.New(&inprocess.Options[eventtarget.Raw]{})
	report := conformance.Check(t.Context(), conformance.Harness{
		Name: "half",
		Caps: conformance.Capabilities{Topology: conformance.Bus},
		New: func(context.Context, conformance.Setup) (*conformance.Rig, error) {
			return &conformance.Rig{Endpoints: []eventtarget.Endpoint{target}}, errors.New("no more room")
		},
	}, "A01")
	if r := report.Results[0]; r.Outcome != conformance.Failed || !strings.Contains(r.Detail, "no more room") {
		t.Errorf("%s, %s", r.Outcome, r.Detail)
	}
	if s := target.State(); s != eventtarget.StateClosed {
		t.Errorf("its endpoint is %v", s)
	}
}

// TestHangsTillEnd: laws that hang are told before go test's time is over, whose panic would
// say nothing of them. The test runs itself, with little time.
func TestHangsTillEnd(t *testing.T) {
	const variable = "CONFORMANCE_HANGS"
	if os.Getenv(variable) != "" {
		conformance.Run(t, conformance.Harness{
			Name: "hangs", Caps: conformance.Capabilities{Topology: conformance.Local, Echo: true},
			New: func(ctx context.Context, _ conformance.Setup) (*conformance.Rig, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestHangsTillEnd$", "-test.timeout=12s")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"law A01 (deliver) does not hold", "the time that go test has is over: from law A0"} {
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v, and %q is missing:\n%.2000s", err, want, out)
		}
	}
}
