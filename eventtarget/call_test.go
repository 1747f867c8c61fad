package eventtarget_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

var sum = eventtarget.Method[[]int, int]{Name: "sum", Requests: eventtarget.JSON[[]int](), Answers: eventtarget.JSON[int]()}

// pair returns two members of a bus, and the faults of both.
func pair(t *testing.T) (here, there *inprocess.Member, faults chan eventtarget.Fault) {
	t.Helper()
	var bus inprocess.Bus
	faults = make(chan eventtarget.Fault, 100)
	o := &inprocess.MemberOptions{OnFault: func(f eventtarget.Fault) { faults <- f }}
	here, there = bus.Join(o), bus.Join(o)
	t.Cleanup(func() { here.Close(); there.Close(); <-here.Done(); <-there.Done() })
	return here, there, faults
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited for %s", what)
	}
	return v
}

func TestCall(t *testing.T) {
	here, there, faults := pair(t)
	service, err := sum.Serve(t.Context(), there, func(_ context.Context, e eventtarget.Event[[]int]) (total int, err error) {
		for _, n := range e.Payload {
			if n < 0 {
				return 0, fmt.Errorf("%d is negative", n)
			}
			if n == 13 {
				panic("unlucky")
			}
			total += n
		}
		return total, nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if total, err := sum.Call(bounded(t), here, []int{1, 2, 3}); total != 6 || err != nil {
		t.Errorf("1+2+3 is %d, %v", total, err)
	}
	for text, request := range map[string][]int{"-1 is negative": {1, -1}, "internal error": {13}} {
		_, err = sum.Call(bounded(t), here, request)
		if f, ok := errors.AsType[*eventtarget.Failure](err); !ok || f.Text != text || f.Method != "sum" {
			t.Errorf("the call with %v: %v", request, err)
		}
	}
	if f := await(t, "the fault", faults); f.Kind != eventtarget.FaultPanic || !strings.Contains(string(f.Stack), "TestCall") {
		t.Errorf("the fault of a panic is %v", f)
	}
	other := eventtarget.Method[string, int]{Name: "sum", Requests: eventtarget.JSON[string](), Answers: eventtarget.JSON[int]()}
	if _, err := other.Call(bounded(t), here, "1+2"); err == nil || !strings.Contains(err.Error(), "sum failed: ") {
		t.Errorf("a request that cannot be decoded: %v", err)
	}
	if f := await(t, "the fault", faults); f.Kind != eventtarget.FaultDecode {
		t.Errorf("the fault of a request that cannot be decoded is %v", f)
	}
	service.Close()
	await(t, "the end of the service", service.Done())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := sum.Call(ctx, here, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with nobody who answers: %v", err)
	}
}

// TestCallCancel: the one who answers is told that nobody waits, and what had to wait is
// not begun.
func TestCallCancel(t *testing.T) {
	here, there, _ := pair(t)
	begun, ended := make(chan int, 10), make(chan int, 10)
	service, err := sum.Serve(t.Context(), there, func(ctx context.Context, e eventtarget.Event[[]int]) (int, error) {
		begun <- e.Payload[0]
		if e.Payload[0] < 3 {
			<-ctx.Done()
		}
		ended <- e.Payload[0]
		return e.Payload[0], ctx.Err()
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	call := func(n int) (cancel context.CancelFunc, failed <-chan error) {
		ctx, cancel := context.WithCancel(bounded(t))
		errs := make(chan error, 1)
		go func() {
			_, err := sum.Call(ctx, here, []int{n})
			errs <- err
		}()
		return cancel, errs
	}
	asked := make(chan struct{}, 10)
	if _, err := there.Add(t.Context(), eventtarget.T("sum.requested", "*"), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) { asked <- struct{}{} })); err != nil {
		t.Fatal(err)
	}
	cancelFirst, first := call(1)
	await(t, "the first request", begun)
	await(t, "the first request", asked)
	cancelSecond, second := call(2)
	await(t, "the second request", asked)
	cancelSecond()
	if err := await(t, "the second call", second); !errors.Is(err, context.Canceled) {
		t.Errorf("the second call: %v", err)
	}
	cancelFirst()
	if err := await(t, "the first call", first); !errors.Is(err, context.Canceled) {
		t.Errorf("the first call: %v", err)
	}
	if n := await(t, "the end of the first", ended); n != 1 {
		t.Errorf("%d ended first", n)
	}
	if n, err := sum.Call(bounded(t), here, []int{3}); n != 3 || err != nil {
		t.Errorf("the third call: %d, %v", n, err)
	}
	if n := await(t, "the next request", begun); n != 3 {
		t.Errorf("request %d was begun though it was cancelled", n)
	}
	cancelFourth, fourth := call(1)
	defer cancelFourth()
	await(t, "the fourth request", begun)
	service.Close()
	await(t, "the end of the service", service.Done())
	if n := await(t, "the end of the third", ended); n != 3 {
		t.Errorf("%d ended, not 3", n)
	}
	if n := await(t, "the end of the fourth", ended); n != 1 {
		t.Errorf("%d ended, not 1", n)
	}
	here.Close()
	if err := await(t, "the fourth call", fourth); !errors.Is(err, eventtarget.ErrClosed) {
		t.Errorf("the call of a target that was closed: %v", err)
	}
}

type eventKey struct{}

// valued adds a value to the context of each event that is heard, as one that traces does, and
// keeps that of each answer.
type valued struct {
	*inprocess.Member
	replies chan any
}

func (v valued) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	handle := l.Handle
	l.Handle = func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
		handle(context.WithValue(ctx, eventKey{}, string(e.Payload)), e)
	}
	return v.Member.Add(ctx, topic, l)
}

func (v valued) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	v.replies <- ctx.Value(eventKey{})
	return v.Member.Dispatch(ctx, e)
}

// TestCallValues: what a target adds to the context of an event, such as its trace, who
// answers has, and the answer; Serve's own values are there, too, and nobody is taken for a
// listener.
func TestCallValues(t *testing.T) {
	type serveKey struct{}
	here, there, _ := pair(t)
	to := valued{there, make(chan any, 4)}
	seen := make(chan string, 4)
	serving := context.WithValue(context.WithValue(t.Context(), serveKey{}, "serve"), eventKey{}, "none")
	service, err := sum.Serve(serving, to, func(ctx context.Context, e eventtarget.Event[[]int]) (int, error) {
		seen <- fmt.Sprintf("%v %v %v", ctx.Value(eventKey{}), ctx.Value(serveKey{}), eventtarget.CallerOf(ctx) == eventtarget.NotListener)
		if len(e.Payload) == 0 {
			return 0, errors.New("nothing")
		}
		return len(e.Payload), nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range [][]int{{1}, {2, 3}, {}} {
		_, err := sum.Call(bounded(t), here, request)
		if (err != nil) != (len(request) == 0) {
			t.Error(err)
		}
		want := strings.ReplaceAll(fmt.Sprint(request), " ", ",")
		if got := await(t, "a request", seen); got != want+" serve true" {
			t.Errorf("answered %s with the values %s", want, got)
		}
		if got := await(t, "an answer", to.replies); got != want {
			t.Errorf("the answer to %s has the value %v", want, got)
		}
	}
	service.Close()
	<-service.Done()
}

// TestCallEnded: what a call with an ended context says, it says once.
func TestCallEnded(t *testing.T) {
	here, _, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := sum.Call(ctx, here, []int{1})
	if !errors.Is(err, context.Canceled) || strings.Count(err.Error(), context.Canceled.Error()) != 1 || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// TestCallConcurrent: as many are answered at once as are allowed.
func TestCallConcurrent(t *testing.T) {
	here, there, _ := pair(t)
	const atOnce, calls = 4, 20
	var running, tooMany atomic.Int32
	full := make(chan struct{})
	open := sync.OnceFunc(func() { close(full) })
	_, err := sum.Serve(t.Context(), there, func(context.Context, eventtarget.Event[[]int]) (int, error) {
		switch n := running.Add(1); {
		case n == atOnce:
			open()
		case n > atOnce:
			tooMany.Add(1)
		}
		<-full
		running.Add(-1)
		return 0, nil
	}, &eventtarget.ServeOptions{Concurrent: atOnce})
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, calls)
	for range calls {
		go func() {
			_, err := sum.Call(bounded(t), here, nil)
			errs <- err
		}()
	}
	for range calls {
		if err := await(t, "an answer", errs); err != nil {
			t.Error(err)
		}
	}
	if n := tooMany.Load(); n > 0 {
		t.Errorf("%d requests were too many at once", n)
	}
}

func TestCallInline(t *testing.T) {
	here, there, _ := pair(t)
	got := make(chan error, 1)
	if _, err := there.Add(t.Context(), eventtarget.T("t", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(ctx context.Context, _ eventtarget.Event[raw]) {
		_, err := sum.Call(ctx, there, nil)
		got <- err
	}}); err != nil {
		t.Fatal(err)
	}
	if err := here.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t"}); err != nil {
		t.Fatal(err)
	}
	if err := await(t, "the call", got); !errors.Is(err, eventtarget.ErrWouldBlock) {
		t.Errorf("a call inside an Inline listener: %v", err)
	}
	bad := eventtarget.Method[[]int, int]{Name: "a:b", Requests: sum.Requests, Answers: sum.Answers}
	if _, err := bad.Call(bounded(t), here, nil); !errors.Is(err, eventtarget.ErrInvalidTopic) {
		t.Errorf("Call of a:b: %v", err)
	}
	if _, err := bad.Serve(t.Context(), here, nil, nil); !errors.Is(err, eventtarget.ErrInvalidTopic) {
		t.Errorf("Serve of a:b: %v", err)
	} else if strings.Contains(err.Error(), "\n") {
		t.Errorf("Serve of a:b says it more than once: %v", err)
	}
	for _, half := range []eventtarget.Method[[]int, int]{{Name: "sum", Requests: sum.Requests}, {Name: "sum", Answers: sum.Answers}} {
		if _, err := half.Call(bounded(t), here, nil); err == nil || !strings.Contains(err.Error(), "lacks a codec") {
			t.Errorf("Call without a codec: %v", err)
		}
		if _, err := half.Serve(t.Context(), here, nil, nil); err == nil || !strings.Contains(err.Error(), "lacks a codec") {
			t.Errorf("Serve without a codec: %v", err)
		}
	}
}

func TestFilterAndMap(t *testing.T) {
	here, there, _ := pair(t)
	numbers := eventtarget.Typed(there, eventtarget.JSON[int]())
	sub, err := eventtarget.Subscribe(t.Context(), numbers, eventtarget.T("n", "*"), 4)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 { // two are lost
		if err := eventtarget.Typed(here, eventtarget.JSON[int]()).Dispatch(t.Context(), eventtarget.Event[int]{Type: "n", ID: fmt.Sprint("id", n), Payload: n}); err != nil {
			t.Fatal(err)
		}
	}
	sub.Close()
	<-sub.Registration().Done()
	odd := errors.New("three")
	var got []string
	even := eventtarget.Filter(sub.All(t.Context()), func(e eventtarget.Event[int]) bool { return e.Payload != 1 })
	for e, err := range eventtarget.Map(even, func(e eventtarget.Event[int]) (string, error) {
		if e.Payload == 3 {
			return "", odd
		}
		return fmt.Sprint(e.Payload, "!"), nil
	}) {
		switch {
		case errors.Is(err, eventtarget.ErrOverflow):
			got = append(got, "lost")
		case errors.Is(err, eventtarget.ErrClosed):
			got = append(got, "closed")
		default:
			got = append(got, fmt.Sprintf("%s=%s,%v", e.ID, e.Payload, err))
		}
	}
	if want := "id0=0!,<nil> id2=2!,<nil> id3=,three lost closed"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for range eventtarget.Map(eventtarget.Filter(sub.All(t.Context()), func(eventtarget.Event[int]) bool { return true }), func(e eventtarget.Event[int]) (int, error) { return e.Payload, nil }) {
		break
	}
}
