package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
)

// openTarget opens a URL and waits until the target is up.
func openTarget(cmd *cobra.Command, url string, wait time.Duration) (eventtarget.Endpoint, error) {
	t, err := open.NewMux(&open.Options{OnFault: warn(cmd)}).Open(cmd.Context(), url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), wait)
	defer cancel()
	if err := t.Ready(ctx); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// envelope is an event as `listen` prints it.
type envelope struct {
	Type    string            `json:"type"`
	ID      string            `json:"id"`
	Payload eventtarget.Raw   `json:"payload,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

func newListen() *cobra.Command {
	var wait time.Duration
	var count int
	cmd := &cobra.Command{
		Use:   "listen URL TOPIC...",
		Short: "Print what is heard on topics, one envelope a line",
		Long: "Print what is heard on topics (chat:42, chat:*, *) as JSON on standard output, one\n" +
			"envelope a line, and everything else on standard error.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := openTarget(cmd, args[0], wait)
			if err != nil {
				return err
			}
			defer t.Close()
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetEscapeHTML(false)
			events := make(chan eventtarget.Event[eventtarget.Raw])
			for _, arg := range args[1:] {
				topic, err := eventtarget.ParseTopic(arg)
				if err != nil {
					return err
				}
				if _, err := t.Add(ctx, topic, eventtarget.Func(func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
					select {
					case events <- e:
					case <-ctx.Done():
					}
				})); err != nil {
					return err
				}
			}
			cmd.PrintErrln("listening")
			for n := 0; count == 0 || n < count; n++ {
				select {
				case e := <-events:
					if err := out.Encode(envelope{e.Type, e.ID, e.Payload, e.Headers}); err != nil {
						return err
					}
				case <-t.Done():
					return eventtarget.ErrClosed
				case <-ctx.Done():
					return nil
				}
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for the connection")
	cmd.Flags().IntVar(&count, "count", 0, "end after so many events (0: never)")
	return cmd
}

func newDispatch() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "dispatch URL TYPE ID [PAYLOAD|-]",
		Short: "Dispatch an event, or one for each line of standard input",
		Long: "Dispatch an event. PAYLOAD is JSON; without it the event has none, and with - there\n" +
			"is one event for each line of standard input.",
		Args: cobra.RangeArgs(3, 4),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := openTarget(cmd, args[0], wait)
			if err != nil {
				return err
			}
			defer t.Close()
			e := eventtarget.Event[eventtarget.Raw]{Type: args[1], ID: args[2]}
			if len(args) == 4 && args[3] == "-" {
				err = dispatchLines(cmd.Context(), t, e, cmd.InOrStdin())
			} else {
				if len(args) == 4 {
					e.Payload = eventtarget.Raw(args[3])
				}
				err = t.Dispatch(cmd.Context(), e)
			}
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			return t.Shutdown(ctx)
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for the connection, and for it to take everything")
	return cmd
}

// dispatchLines dispatches an event for each line. A line that is refused ends it,
// with its number.
func dispatchLines(ctx context.Context, t eventtarget.Target, e eventtarget.Event[eventtarget.Raw], in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 2*eventtarget.DefaultMaxMessage)
	for n := 1; lines.Scan(); n++ {
		e.Payload = eventtarget.Raw(lines.Bytes())
		if err := t.Dispatch(ctx, e); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}
