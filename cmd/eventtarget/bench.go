package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/cmd/internal/load"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
)

func newBench() *cobra.Command {
	var o load.Options
	var spokes int
	var hear string
	cmd := &cobra.Command{
		Use:   "bench URL",
		Short: "Measure what a running target carries, and how fast",
		Long: "Measure what a running target carries: one target dispatches at the URL, --spokes others\n" +
			"listen there (or at --hear), and what each hears is checked and timed. A hub has to relay.\n" +
			"Without --rate as much is dispatched as is heard. With it each event has a time at which it\n" +
			"is due, from which its latency counts: a target that falls behind is seen to. Progress goes\n" +
			"to standard error, a line each second, and the result to standard output. The exit status\n" +
			"is 1 if anything was missing, repeated or out of order. Ctrl-C ends it early.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if spokes < 1 || o.Rate < 0 || o.Time <= 0 {
				return errors.New("--spokes and --time must be positive, and --rate not negative")
			}
			if o.Size < load.MinSize {
				return fmt.Errorf("--size: %d bytes are too small for what each payload has to say; write at least %d", o.Size, load.MinSize)
			}
			if hear == "" {
				hear = args[0]
			}
			opened, err := openAll(cmd, args[0], hear, spokes, o.Wait)
			defer func() {
				for _, t := range opened {
					_ = t.Close()
				}
				for _, t := range opened { // the hub is told that they leave
					<-t.Done()
				}
			}()
			if err != nil {
				return err
			}
			o.Dispatcher = opened[0]
			for _, t := range opened[1:] {
				o.Listeners = append(o.Listeners, t)
			}
			seconds := 0
			o.Progress = func(r load.Result) {
				seconds++
				cmd.PrintErrf("%4ds  %9.0f dispatched/s  %10.0f heard/s  p50 %-9v p99 %-9v missing %d\n", seconds,
					rate(r.Dispatched, r.Took), rate(r.Heard, r.Took), short(r.Latency.Quantile(0.5)), short(r.Latency.Quantile(0.99)), r.Missing)
			}
			cmd.PrintErrf("%d spokes hear, payloads of %d bytes\n", spokes, o.Size)
			result, err := load.Run(cmd.Context(), o)
			if result.Dispatched > 0 {
				err = errors.Join(err, printResult(cmd.OutOrStdout(), shown(args[0]), spokes, o.Size, &result))
			}
			if err == nil && result.Missing+result.Misplaced > 0 {
				err = fmt.Errorf("%d events are missing, %d were repeated or out of order", result.Missing, result.Misplaced)
			}
			return err
		},
	}
	cmd.Flags().IntVar(&o.Size, "size", 128, fmt.Sprintf("size of a payload in bytes, at least %d", load.MinSize))
	cmd.Flags().Float64Var(&o.Rate, "rate", 0, "events to dispatch in a second (0: as many as are heard)")
	cmd.Flags().DurationVar(&o.Time, "time", 10*time.Second, "how long to dispatch")
	cmd.Flags().IntVar(&spokes, "spokes", 10, "how many targets listen")
	cmd.Flags().StringVar(&hear, "hear", "", "URL that is listened at, if it is another (another hub of the same backplane, sse+http://…)")
	cmd.Flags().DurationVar(&o.Wait, "wait", 10*time.Second, "how long to wait for a connection, and for what is missing")
	return cmd
}

// openAll opens the target that dispatches and those that listen, none of which hears
// itself. In case of an error it returns those that it has opened, too.
func openAll(cmd *cobra.Command, dispatchURL, hearURL string, spokes int, wait time.Duration) (opened []eventtarget.Endpoint, err error) {
	for n := range spokes + 1 {
		raw := hearURL
		if n == 0 {
			raw = dispatchURL
		}
		u, err := parseURL(raw)
		if err != nil {
			return opened, err
		}
		q := u.Query()
		q.Set("echo", "false")
		u.RawQuery = q.Encode()
		t, err := openTarget(cmd.Context(), u, wait, open.Options{OnFault: warn(cmd)})
		if err != nil {
			return opened, err
		}
		opened = append(opened, t)
	}
	return opened, nil
}

// shown is a URL without what is secret or long.
func shown(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "?"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

func printResult(w io.Writer, url string, spokes, size int, r *load.Result) error {
	expected := max(r.Dispatched*uint64(spokes), 1)
	_, err := fmt.Fprintf(w, "%s: %d spokes, payloads of %d bytes, %v\n"+
		"  dispatched  %12d  %12.0f /s\n"+
		"  heard       %12d  %12.0f /s  %.1f MB/s of payload\n"+
		"  missing     %12d  %12.4f %%\n"+
		"  misplaced   %12d\n"+
		"  latency     p50 %v  p90 %v  p99 %v  p99.9 %v  max %v\n",
		url, spokes, size, r.Took.Round(time.Millisecond),
		r.Dispatched, rate(r.Dispatched, r.Took),
		r.Heard, rate(r.Heard, r.Took), rate(r.Heard, r.Took)*float64(size)/1e6,
		r.Missing, 100*float64(r.Missing)/float64(expected), r.Misplaced,
		short(r.Latency.Quantile(0.5)), short(r.Latency.Quantile(0.9)), short(r.Latency.Quantile(0.99)), short(r.Latency.Quantile(0.999)), short(r.Latency.Max()))
	if err != nil {
		return err
	}
	return r.Latency.Plot(w)
}

func rate(n uint64, in time.Duration) float64 { return float64(n) / max(in.Seconds(), 1e-9) }

// short rounds to three digits.
func short(d time.Duration) time.Duration {
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}
