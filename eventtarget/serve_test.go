package eventtarget

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Remembers returns how many calls a service has an entry for, of those that it answers and of
// those that were cancelled.
func (s *Service) Remembers() (answering, cancelled int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls), len(s.gone)
}

// loop is a target that hears itself.
type loop struct{ *Registry[Raw] }

func (l loop) Dispatch(ctx context.Context, e Event[Raw]) error { return l.Deliver(ctx, e) }

// TestServiceForgets: whatever becomes of a call, the service has nothing of it afterwards; of
// those that were cancelled it remembers the last ones.
func TestServiceForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		at := loop{NewRegistry[Raw](RegistryOptions{OnFault: func(f Fault) { told = append(told, f.Err.Error()) }})}
		what := Method[string, string]{Name: "what", Requests: JSON[string](), Answers: JSON[string]()}
		service, err := what.Serve(t.Context(), at, func(ctx context.Context, e Event[string]) (string, error) {
			switch e.Payload {
			case "fail":
				return "", errors.New("no")
			case "panic":
				panic("no")
			case "exit":
				runtime.Goexit()
			case "wait":
				<-ctx.Done()
			}
			return "yes", ctx.Err()
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, request := range []string{"answer", "fail", "panic", "exit", "wait"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			answer, err := what.Call(ctx, at, request)
			cancel()
			if (err == nil) != (request == "answer") || errors.Is(err, context.DeadlineExceeded) != (request == "wait") {
				t.Errorf("%s: %q, %v", request, answer, err)
			}
			synctest.Wait()
			if answering, cancelled := service.Remembers(); answering+cancelled > 0 {
				t.Errorf("behind %q: %d calls are being answered, %d are cancelled", request, answering, cancelled)
			}
		}
		if want := []string{"service panicked: no", "service ended its goroutine (runtime.Goexit)"}; !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
		const most = 3 * cancelWindow
		for n := range most { // those that it has not seen
			if err := at.Dispatch(t.Context(), Event[Raw]{Type: "what.cancelled", ID: fmt.Sprint(n)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, cancelled := service.Remembers(); cancelled != cancelWindow {
			t.Errorf("it remembers %d of %d that were cancelled, not %d", cancelled, most, cancelWindow)
		}
		for n, want := range map[int]int{most - cancelWindow: 0, most - 1: 0, most - cancelWindow - 1: 1} {
			if err := at.Dispatch(t.Context(), Event[Raw]{Type: "what.requested", ID: fmt.Sprint(n), Payload: Raw(`"wait"`)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if answering, _ := service.Remembers(); answering != want {
				t.Errorf("of call %d there are %d begun, not %d", n, answering, want)
			}
			if want == 0 {
				continue
			}
			if err := at.Dispatch(t.Context(), Event[Raw]{Type: "what.cancelled", ID: fmt.Sprint(n)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		service.Close()
		<-service.Done()
		if n := at.Len(); n > 0 {
			t.Errorf("%d registrations are left", n)
		}
		at.Registry.Close()
		<-at.Done()
	})
}
