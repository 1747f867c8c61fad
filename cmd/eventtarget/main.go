// Command eventtarget runs hubs and talks to event targets from the shell.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cmd, err := newRoot().ExecuteContextC(ctx)
	stop()
	if err != nil {
		tell(cmd, err)
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

		PersistentPreRunE: checkFormat,

		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(badFlag)
	root.SetOut(os.Stdout)
	root.PersistentFlags().String(formatFlag, formats[0], "how faults and errors are written to standard error: text or json")
	root.AddCommand(newHub(), newListen(), newDispatch(), newDemo(), newConform(), newBench(), newDoctor(), newKeygen(), newDemoWorker())
	return root
}
