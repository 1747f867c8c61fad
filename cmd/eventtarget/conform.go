package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
)

func newConform() *cobra.Command {
	var asJSON bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "conform URL",
		Short: "Check a running target against the laws that can be seen from outside",
		Long: "Check a running target against the laws. Each law opens the URL as often as it needs\n" +
			"endpoints and takes them for members of a bus: a hub has to relay. Laws that need\n" +
			"more than a URL are skipped by name. Other traffic on the target does not disturb.\n" +
			"The report is Markdown, or JSON with --json; the counts go to standard error.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := parseURL(args[0])
			if err != nil {
				return err
			}
			h := outside(u)
			if err := reachable(cmd.Context(), h, u, wait); err != nil {
				return err
			}
			report := conformance.Check(cmd.Context(), h)
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
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for the connection, and for what is relayed")
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

// reachable makes two endpoints hear each other, so that one that is not there, or a hub
// that does not relay, is told once and not by every law.
func reachable(ctx context.Context, h conformance.Harness, u *url.URL, wait time.Duration) error {
	first, err := openTarget(ctx, u, wait, open.Options{})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	rig, err := h.New(ctx, conformance.Setup{Endpoints: 2})
	for _, t := range append(rig.Endpoints, first) {
		_ = t.Close()
	}
	return err
}

// outside is a harness for whatever stands behind a URL.
func outside(u *url.URL) conformance.Harness {
	return conformance.Harness{
		Name: shown(u.String()),
		Caps: conformance.Capabilities{Topology: conformance.Bus, Wire: true, Echo: true},
		Skip: map[string]string{"C22": "a URL does not tell who is adjacent"},
		Open: open.Open,
		URL:  u.String(),
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			rig := &conformance.Rig{}
			for i := range s.Endpoints {
				own := *u
				if q := u.Query(); s.MaxMessage != 0 {
					q.Set("max", strconv.Itoa(s.MaxMessage))
					own.RawQuery = q.Encode()
				}
				t, err := open.NewMux(&open.Options{OnFault: s.FaultsOf(i)}).Open(ctx, own.String())
				if err != nil {
					return rig, err
				}
				rig.Endpoints = append(rig.Endpoints, t)
				if err := t.Ready(ctx); err != nil {
					return rig, err
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
