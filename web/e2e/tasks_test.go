package e2e_test

import (
	"context"
	"encoding/json"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"
)

// tasks are what the main threads of pages have done, by the browser's own trace.
type tasks struct {
	longest time.Duration // of processor time: what other programs take from a task is not in it
	count   int
}

// traced returns the tasks of what is done meanwhile.
func (p *tab) traced(meanwhile func()) (found tasks) {
	p.t.Helper()
	type event struct {
		Name   string  `json:"name"`
		Thread int     `json:"tid"`
		Took   float64 `json:"tdur"` // microseconds of the thread
		Args   struct {
			Name string `json:"name"`
		} `json:"args"`
	}
	var all []event
	over := make(chan bool, 1)
	ctx, stop := context.WithCancel(p.ctx)
	defer stop()
	if err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *tracing.EventDataCollected:
			for _, text := range ev.Value {
				var e event
				if json.Unmarshal(text, &e) == nil {
					all = append(all, e)
				}
			}
		case *tracing.EventTracingComplete:
			over <- ev.DataLossOccurred
		}
	}); err != nil {
		p.t.Fatal(err)
	}
	start := tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: []string{"disabled-by-default-devtools.timeline"}, ExcludedCategories: []string{"*"}}}
	if err := chromedp.Do(p.ctx, func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, tracing.Start, start)
		return v, err
	}); err != nil {
		p.t.Fatal(err)
	}
	meanwhile()
	if err := chromedp.Do(p.ctx, func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, tracing.End, cdp.Empty{})
		return v, err
	}); err != nil {
		p.t.Fatal(err)
	}
	select {
	case lost := <-over:
		if lost {
			p.t.Fatal("the trace is not whole")
		}
	case <-p.ctx.Done():
		p.t.Fatal("no trace")
	}
	pages := make(map[int]bool)
	for _, e := range all {
		if e.Name == "thread_name" && e.Args.Name == "CrRendererMain" {
			pages[e.Thread] = true
		}
	}
	for _, e := range all {
		if pages[e.Thread] && e.Name == "RunTask" {
			found.longest = max(found.longest, time.Duration(e.Took*float64(time.Microsecond)))
			found.count++
		}
	}
	return found
}
