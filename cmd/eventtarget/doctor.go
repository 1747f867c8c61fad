package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/cmd/internal/doctor"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
)

func newDoctor() *cobra.Command {
	var o doctor.Options
	var buses []string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether this machine has what a hub needs, and say what to do",
		Long: "Look whether this machine has what a hub needs: open files for its spokes, a backlog, buffers\n" +
			"for QUIC, free ports, a clock that is kept, and the buses that it is to join. Each finding\n" +
			"is a line, with what to do below. The exit status is 1 if a hub could not run.",
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Spokes < 1 {
				return fmt.Errorf("--spokes: %d is no number of spokes; write 1 or more", o.Spokes)
			}
			if o.Wait <= 0 {
				return errors.New("--wait: there is no time to wait; write a time such as 5s")
			}
			for flag, address := range map[string]string{"listen": o.Listen, "quic": o.QUIC} {
				if _, port, err := net.SplitHostPort(address); address != "" && (err != nil || port == "") {
					return fmt.Errorf("--%s: %q is no address; write HOST:PORT, such as 127.0.0.1:8080 or :8080", flag, address)
				}
			}
			o.Reach = map[string]func(context.Context) error{}
			for _, url := range buses {
				schemes := config.BackplaneSchemes
				if u, err := parseURL(url); err != nil || !slices.Contains(schemes, u.Scheme) { // which may be a secret
					return fmt.Errorf("--backplane: a hub would not take this URL; write SCHEME://HOST:PORT with one of %s", strings.Join(schemes, ", "))
				}
				name := shown(url)
				for n := 2; o.Reach[name] != nil; n++ { // one that differs in what is not shown
					name = fmt.Sprintf("%s (%d)", shown(url), n)
				}
				o.Reach[name] = func(ctx context.Context) error { return reach(ctx, url) }
			}
			failed := 0
			for _, f := range doctor.Examine(cmd.Context(), o) {
				cmd.Printf("%-4s  %s: %s\n", f.Level, f.Subject, f.Seen)
				if f.Advice != "" {
					cmd.Printf("      → %s\n", f.Advice)
				}
				if f.Level == doctor.Fail {
					failed++
				}
			}
			if failed > 0 {
				return fmt.Errorf("a hub would not run: %d of the checks failed", failed)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&o.Spokes, "spokes", 10_000, "how many spokes there will be at once")
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:8080", "address that the hub will listen at")
	cmd.Flags().StringVar(&o.QUIC, "quic", "", "address that it will listen at for QUIC")
	cmd.Flags().StringArrayVar(&buses, "backplane", nil, "bus that it will join, such as redis://HOST:PORT (repeatable)")
	cmd.Flags().DurationVar(&o.Wait, "wait", 5*time.Second, "how long a bus may take to answer")
	return cmd
}

// reach opens a target and closes it again.
func reach(ctx context.Context, url string) error {
	var last error
	faults := make(chan eventtarget.Fault, 16)
	t, err := open.NewMux(&open.Options{OnFault: func(f eventtarget.Fault) {
		select {
		case faults <- f:
		default:
		}
	}}).Open(ctx, url)
	if err != nil {
		return err
	}
	defer t.Close()
	ready := t.Ready(ctx)
	for ready != nil && len(faults) > 0 {
		last = <-faults // why it could not connect says more than that it did not
	}
	return errors.Join(ready, last)
}
