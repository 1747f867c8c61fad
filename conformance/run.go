package conformance

import (
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"testing"
	"time"
)

// Watchdog is how long one law may take by default before it counts as hanging.
const Watchdog = time.Minute

// Run checks h against every law, each in a subtest of its own.
func Run(t *testing.T, h Harness) {
	t.Helper()
	report := Report{Name: h.Name, Caps: h.Caps}
	for _, law := range Laws() {
		in, ok := h.before(t.Deadline())
		if !ok {
			t.Errorf("the time that go test has is over: from law %s on none was asked; give it more (-timeout), or the harness a shorter Timeout", law.ID)
			break
		}
		t.Run(law.ID+"_"+law.Name, func(t *testing.T) {
			r := check(t.Context(), in, law)
			report.Results = append(report.Results, r)
			switch r.Outcome {
			case Failed:
				t.Errorf("law %s (%s) does not hold: %s\nwhy it matters: %s\nseen: %s",
					law.ID, law.Name, law.Statement, law.Why, r.Detail)
			case Skipped:
				t.Logf("skipped: %s", r.Detail)
			}
		})
	}
	t.Log(report.Summary())
}

// before returns h with a Timeout by which a law that hangs is ended before go test ends
// itself, and with that says nothing of the laws that were seen not to hold. It is false if
// there is no time left.
func (h Harness) before(deadline time.Time, ok bool) (Harness, bool) {
	const rest = 10 * time.Second // for check, which waits longer than the Timeout, and what comes behind
	if ok {
		h.Timeout = min(h.timeout(), time.Until(deadline)-rest)
	}
	return h, !ok || h.Timeout > 0
}

// Check checks h against the laws with the given ids, or all, and returns what it
// has seen. An id that no law has is in the report as one that does not hold.
func Check(ctx context.Context, h Harness, ids ...string) Report {
	report := Report{Name: h.Name, Caps: h.Caps}
	for _, law := range Laws() {
		if len(ids) == 0 || slices.Contains(ids, law.ID) {
			report.Results = append(report.Results, check(ctx, h, law))
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(Laws(), func(law Law) bool { return law.ID == id }) {
			report.Results = append(report.Results, Result{Law: Law{ID: id}, Outcome: Failed, Detail: "there is no law with this id"})
		}
	}
	return report
}

// check runs one law, in a goroutine that carries its label, so that what it
// leaves behind can be told from what others do.
func check(ctx context.Context, h Harness, law Law) Result {
	limit := h.timeout()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := &T{Harness: h, ctx: ctx, law: law}
	done := make(chan struct{})
	begin := time.Now()
	go pprof.Do(ctx, pprof.Labels("law", law.ID), func(context.Context) {
		defer close(done)
		defer t.cleanUp()
		t.do(func() {
			if why, found := h.Skip[law.ID]; found {
				t.Skipf("%s", why)
			}
			law.run(t)
		})
	})
	select {
	case <-done:
	case <-time.After(limit + min(limit, 5*time.Second)): // the law's own waits have ended with ctx
		buf := make([]byte, 1<<20)
		t.Errorf("it hangs:\n%s", buf[:runtime.Stack(buf, true)])
	}
	return t.result(time.Since(begin))
}

func (t *T) result(took time.Duration) Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Result{Law: t.law, Outcome: Passed, Took: took}
	switch {
	case len(t.failures) > 0:
		r.Outcome, r.Detail = Failed, t.failures[0]
		if n := len(t.failures); n > 1 {
			r.Detail += fmt.Sprintf(" (and %d more)", n-1)
		}
		for _, s := range t.faults[:min(len(t.faults), 5)] {
			r.Detail += fmt.Sprintf("\nfault at endpoint %d: %v", s.endpoint, s.fault)
		}
	case t.skipped != "":
		r.Outcome, r.Detail = Skipped, t.skipped
	}
	return r
}
