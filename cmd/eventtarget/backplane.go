package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/open"
)

// join makes hubs that have the same bus hear each other's spokes. The hub must have
// Echo, so that what it dispatches itself goes to the others too.
func join(ctx context.Context, cmd *cobra.Command, h *hub.Hub, busURL string) (leave func(context.Context) error, err error) {
	if busURL == "" {
		return func(context.Context) error { return nil }, nil
	}
	bus, err := open.NewMux(&open.Options{OnFault: warn(cmd)}).Open(ctx, busURL)
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	if err := bus.Ready(ready); err != nil {
		_ = bus.Close()
		return nil, fmt.Errorf("the backplane: %w", err)
	}
	if _, err := eventtarget.Bridge(ready, h, bus, nil); err != nil {
		_ = bus.Close()
		return nil, fmt.Errorf("the backplane: %w", err)
	}
	return bus.Shutdown, nil
}
