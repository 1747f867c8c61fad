package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
)

// openTarget opens a URL and waits until the target is up.
func openTarget(ctx context.Context, u *url.URL, wait time.Duration, opts open.Options) (eventtarget.Endpoint, error) {
	if wait <= 0 {
		return nil, errors.New("--wait: there is no time to wait; write a time such as 10s")
	}
	t, err := open.NewMux(&opts).Open(ctx, u.String())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := t.Ready(ctx); err != nil {
		_ = t.Close()
		return nil, hint(err, u)
	}
	return t, nil
}

// goodbye bounds how long the command waits for the other end to hear that it leaves.
const goodbye = 2 * time.Second

// leave closes a target, and waits until the other end was told: Close does not, and a
// process that ends first leaves a session behind, which the hub keeps for who never comes
// back.
func leave(t eventtarget.Endpoint) {
	_ = t.Close()
	select {
	case <-t.Done():
	case <-time.After(goodbye):
	}
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
			"envelope a line, each event once, in the order in which they come, and everything else\n" +
			"on standard error.\n\n" +
			"A hub is asked for these topics only; subscribe=false in the URL asks for nothing, as\n" +
			"for a server that knows no such question.",
		Args: takes(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 0 {
				return fmt.Errorf("--count: %d is no number of events; write 0 to go on, or how many", count)
			}
			var topics []eventtarget.Topic
			for _, arg := range args[1:] {
				topic, err := eventtarget.ParseTopic(arg)
				if err != nil {
					return err
				}
				topics = append(topics, topic)
			}
			u, err := parseURL(args[0])
			if err != nil {
				return err
			}
			u = asking(u, args[1:])
			t, err := openTarget(cmd.Context(), u, wait, open.Options{OnFault: warn(cmd)})
			if err != nil {
				return err
			}
			defer leave(t)
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetEscapeHTML(false)
			events := make(chan eventtarget.Event[eventtarget.Raw])
			// One queue for all topics keeps the order in which events come.
			all := eventtarget.NewRegistry[eventtarget.Raw](eventtarget.RegistryOptions{Adapter: "listen", OnFault: warn(cmd)})
			defer all.Close()
			if _, err := all.Add(ctx, eventtarget.T("*", "*"), eventtarget.Func(func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
				select {
				case events <- e:
				case <-ctx.Done():
				}
			})); err != nil {
				return err
			}
			wanted, from := topics, u.Query().Has("from")
			if from { // a log is read as soon as there is one listener
				wanted = []eventtarget.Topic{eventtarget.T("*", "*")}
			}
			for i, topic := range wanted {
				handle := func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
					first := slices.IndexFunc(topics, func(one eventtarget.Topic) bool { return one.Matches(e.Topic()) })
					if first == i || from && first > 0 {
						_ = all.Deliver(ctx, e) // what finds no room is a fault
					}
				}
				if err := add(ctx, t, topic, wait, eventtarget.Listener[eventtarget.Raw]{Handle: handle, Inline: true}); err != nil {
					return hint(err, u)
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
					return hint(t.Ready(ctx), u) // which says why it never will be again
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

// add adds a listener, and does not wait for ever for a server that does not confirm it.
func add(ctx context.Context, t eventtarget.Target, topic eventtarget.Topic, wait time.Duration, l eventtarget.Listener[eventtarget.Raw]) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_, err := t.Add(ctx, topic, l)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w; write subscribe=false in the URL, if the server knows no subscriptions", err)
	}
	return err
}

func newDispatch() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "dispatch URL TYPE ID [PAYLOAD|-]",
		Short: "Dispatch an event, or one for each line of standard input",
		Long: "Dispatch an event. PAYLOAD is JSON; without it the event has none, and with - there\n" +
			"is one event for each line of standard input, as fast as the other end takes them; a line\n" +
			"that is refused ends that. The exit status is 0 when the other end has taken everything.",
		Args: takes(3, 4),
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := parseURL(args[0])
			if err != nil {
				return err
			}
			refused := make(chan error, 1)
			report := warn(cmd)
			onFault := func(f eventtarget.Fault) {
				report(f)
				if f.Kind == eventtarget.FaultDispatch {
					select {
					case refused <- f.Err:
					default: // one is enough
					}
				}
			}
			// Lines may come faster than the other end takes them.
			t, err := openTarget(cmd.Context(), u, wait, open.Options{OnFault: onFault, Overflow: eventtarget.Block})
			if err != nil {
				return err
			}
			defer leave(t)
			e := eventtarget.Event[eventtarget.Raw]{Type: args[1], ID: args[2]}
			if len(args) == 4 && args[3] == "-" {
				err = dispatchLines(cmd.Context(), t, e, cmd.InOrStdin(), wait)
			} else {
				if len(args) == 4 {
					e.Payload = eventtarget.Raw(args[3])
				}
				err = t.Dispatch(cmd.Context(), e)
			}
			if errors.Is(err, eventtarget.ErrInvalidPayload) {
				err = fmt.Errorf(`%w; write JSON, such as '"hello"' for a text, 1.5, true or '{"a":1}'`, err)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			if taken := t.Shutdown(ctx); err == nil { // what was before a line that is refused goes out, too
				err = taken
			}
			select {
			case no := <-refused:
				return errors.Join(hint(no, u), err)
			default:
				return err
			}
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for the connection, and for it to take everything")
	return cmd
}

// dispatchLines dispatches an event for each line. A line that is refused ends it,
// with its number, and so does ctx: no line may come any more. What was accepted may wait for
// so long until the other end takes something.
func dispatchLines(ctx context.Context, t eventtarget.Target, e eventtarget.Event[eventtarget.Raw], in io.Reader, wait time.Duration) error {
	const longest = 64 << 20 // how long one may be is the target's to say
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longest)
	dispatch := func() error {
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		return t.Dispatch(ctx, e)
	}
	more := make(chan bool)
	scan := func() {
		select {
		case more <- lines.Scan():
		case <-ctx.Done():
		}
	}
	for n := 1; ; n++ {
		go scan()
		select {
		case found := <-more:
			if err := lines.Err(); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if !found {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		e.Payload = eventtarget.Raw(lines.Bytes())
		if err := dispatch(); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}
