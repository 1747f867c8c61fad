package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
)

func newConform() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "conform URL",
		Short: "Check a running target against the laws that can be seen from outside",
		Long: "Check a running target against the laws. Each law opens the URL as often as it needs\n" +
			"endpoints and takes them for members of a bus: a hub has to relay. Laws that need\n" +
			"more than a URL are skipped by name. Other traffic on the target does not disturb.\n" +
			"The report is Markdown, or JSON with --json; the counts go to standard error.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report := conformance.Check(cmd.Context(), outside(args[0]))
			if err := printReport(cmd.OutOrStdout(), report, asJSON); err != nil {
				return err
			}
			cmd.PrintErrln(report.Summary())
			if !report.OK() {
				return fmt.Errorf("laws that do not hold: %v", report.Failed())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func printReport(w io.Writer, report conformance.Report, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(report)
	}
	_, err := io.WriteString(w, report.Markdown())
	return err
}

// outside is a harness for whatever stands behind a URL.
func outside(url string) conformance.Harness {
	return conformance.Harness{
		Name: url,
		Caps: conformance.Capabilities{Topology: conformance.Bus, Wire: true, Echo: true},
		Skip: map[string]string{"C22": "a URL does not tell who is adjacent"},
		Open: open.Open,
		URL:  url,
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			rig := &conformance.Rig{}
			for i := range s.Endpoints {
				u := url
				if s.MaxMessage != 0 {
					u = fmt.Sprintf("%s?max=%d", url, s.MaxMessage)
				}
				t, err := open.NewMux(&open.Options{OnFault: s.FaultsOf(i)}).Open(ctx, u)
				if err != nil {
					return nil, err
				}
				rig.Endpoints = append(rig.Endpoints, t)
				if err := t.Ready(ctx); err != nil {
					return nil, err
				}
			}
			return rig, joined(ctx, rig.Endpoints)
		},
	}
}

// joined waits until every endpoint hears every other: a plain peer is not told when
// a hub has taken it in.
func joined(ctx context.Context, all []eventtarget.Endpoint) error {
	for i, from := range all {
		topic := eventtarget.T("conform.joined", fmt.Sprint(i, time.Now().UnixNano()))
		heard := make(chan int, 1000)
		for j, to := range all {
			if _, err := to.Add(ctx, topic, eventtarget.Listener[eventtarget.Raw]{Once: true, Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) {
				heard <- j
			}}); err != nil {
				return err
			}
		}
		again := time.NewTicker(20 * time.Millisecond)
		defer again.Stop()
		for n := 0; n < len(all); {
			if err := from.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: topic.Type, ID: topic.ID}); err != nil {
				return err
			}
			for waiting := true; waiting && n < len(all); {
				select {
				case <-heard:
					n++
				case <-again.C:
					waiting = false
				case <-ctx.Done():
					return fmt.Errorf("endpoint %d is heard by %d of %d: does the hub relay? %w", i, n, len(all), context.Cause(ctx))
				}
			}
		}
	}
	return nil
}
