// Command eventtarget runs hubs and talks to event targets from the shell.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "eventtarget:", strings.TrimPrefix(err.Error(), "eventtarget: "))
		os.Exit(exitStatus(err))
	}
}

// exitStatus is 1, or what the reason behind the error says.
func exitStatus(err error) int {
	if r, ok := errors.AsType[eventtarget.Reason](err); ok && r.Code.Exit() != 0 {
		return r.Code.Exit()
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "eventtarget",
		Short:         "Talk to event targets: run a hub, listen, dispatch, check",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          noCommand,

		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(badFlag)
	root.SetOut(os.Stdout)
	root.AddCommand(newHub(), newListen(), newDispatch(), newDemo(), newConform(), newBench(), newDoctor(), newKeygen(), newDemoWorker())
	return root
}

// warn prints what goes wrong to standard error, so that standard output is events.
func warn(cmd *cobra.Command) func(eventtarget.Fault) {
	return func(f eventtarget.Fault) { cmd.PrintErrln(f.Error()) }
}
