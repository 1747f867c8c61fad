package load

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// TestHistogram compares quantiles with those of the sorted durations.
func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h, other Histogram
	var all []time.Duration
	for n := range 100_000 {
		d := time.Duration(random.ExpFloat64() * float64(3*time.Millisecond))
		if n%1000 == 0 {
			d = time.Duration(random.Int64N(int64(time.Minute)))
		}
		all = append(all, d)
		if n%3 == 0 {
			other.Add(d)
		} else {
			h.Add(d)
		}
	}
	earlier := h
	h.Merge(&other)
	slices.Sort(all)
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(int(q*float64(len(all)))-1, 0)]
		if got := h.Quantile(q); got < want || float64(got) > float64(want)*(1+1.0/32)+1 {
			t.Errorf("the quantile %v is %v, want %v", q, got, want)
		}
	}
	if h.Len() != 100_000 || h.Max() != all[len(all)-1] || h.Quantile(1) != h.Max() {
		t.Errorf("%d durations up to %v", h.Len(), h.Max())
	}
	since := h.Since(&earlier)
	if got, want := since.Quantile(0.5), other.Quantile(0.5); got != want || since.Len() != other.Len() {
		t.Errorf("since then: %d, half of them within %v, want %d, %v", since.Len(), got, other.Len(), want)
	}
}

func TestSlots(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, 1, 31, 32, 63, 64, 65, 127, 128, 1e3, 1e6, 1e9, 1<<63 - 1} {
		s := slot(d)
		if upTo := longest(s); upTo < d || s > 0 && longest(s-1) >= d {
			t.Errorf("%d is counted in slot %d, up to %d", d, s, upTo)
		}
	}
}

func TestPlot(t *testing.T) {
	var h Histogram
	for range 100 {
		h.Add(90 * time.Microsecond)
	}
	h.Add(3 * time.Millisecond)
	var b bytes.Buffer
	if err := h.Plot(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 6 || lines[0] != "  ≤ 100µs           100 "+strings.Repeat("#", 50) || lines[5] != "  ≤ 5ms               1 #" {
		t.Errorf("plotted\n%s", &b)
	}
	b.Reset()
	if err := new(Histogram).Plot(&b); err != nil || b.Len() != 0 {
		t.Errorf("of nothing: %v, %q", err, &b)
	}
}

// lossy is a target that loses, repeats and delays some of what is dispatched.
type lossy struct {
	eventtarget.Target
	n    int
	kept eventtarget.Event[eventtarget.Raw]
}

func (l *lossy) Dispatch(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	if n, _, _ := parse(e.Payload); n < 0 {
		return l.Target.Dispatch(ctx, e)
	}
	l.n++
	switch {
	case l.n%10 == 1:
		return nil
	case l.n%10 == 2:
		return errors.Join(l.Target.Dispatch(ctx, e), l.Target.Dispatch(ctx, e))
	case l.n%10 == 3:
		l.kept = e
		return nil
	case l.n%10 == 4:
		return errors.Join(l.Target.Dispatch(ctx, e), l.Target.Dispatch(ctx, l.kept))
	default:
		return l.Target.Dispatch(ctx, e)
	}
}

func options(dispatcher eventtarget.Target, listeners ...eventtarget.Target) Options {
	return Options{Dispatcher: dispatcher, Listeners: listeners, Size: 100, Time: 200 * time.Millisecond, Wait: 10 * time.Second}
}

// TestCounts: what is lost, repeated and reordered is counted.
func TestCounts(t *testing.T) {
	var bus inprocess.Bus
	a, b := bus.Join(nil), bus.Join(nil)
	defer a.Close()
	defer b.Close()
	o := options(&lossy{Target: a}, a, b)
	o.Rate, o.Time = 1000, time.Second // with 1000 events the last one is heard
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Dispatched != 1000 || result.Missing != 2*200 || result.Misplaced != 2*200 || result.Heard != 2*1000 || result.Latency.Len() != 2*1000 {
		t.Errorf("counted %d dispatched, %d heard, %d missing, %d misplaced", result.Dispatched, result.Heard, result.Missing, result.Misplaced)
	}
}

// TestAll: without a rate as much is dispatched as is heard, and nothing is lost.
func TestAll(t *testing.T) {
	var bus inprocess.Bus
	a, b := bus.Join(nil), bus.Join(nil)
	defer a.Close()
	defer b.Close()
	reported := 0
	o := options(a, b)
	o.Time, o.Progress = 1500*time.Millisecond, func(r Result) { reported++ }
	result, err := Run(t.Context(), o)
	if err != nil || result.Missing != 0 || result.Misplaced != 0 || result.Dispatched == 0 || result.Heard != result.Dispatched || reported == 0 {
		t.Errorf("%v: counted %d dispatched, %d heard, %d missing, %d misplaced, %d reports",
			err, result.Dispatched, result.Heard, result.Missing, result.Misplaced, reported)
	}
}

func TestSilent(t *testing.T) {
	var one, other inprocess.Bus
	a, b := one.Join(nil), other.Join(nil)
	defer a.Close()
	defer b.Close()
	o := options(a, b)
	o.Wait = 50 * time.Millisecond
	if _, err := Run(t.Context(), o); !errors.Is(err, errSilent) {
		t.Errorf("%v", err)
	}
	o.Size = 1
	if _, err := Run(t.Context(), o); err == nil {
		t.Error("payloads of one byte are no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, options(a, a)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}
