package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/worker"
)

// demoWorker is the name of the command that makes this program the demo's child.
const demoWorker = "demo-worker"

// newDemoWorker is the child: it tells what it hears, and says what it is told to.
func newDemoWorker() *cobra.Command {
	return &cobra.Command{
		Use: demoWorker, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := worker.Parent(&link.Options{Setup: func(p *link.Link) {
				pass := func(from eventtarget.Topic, eventType string) {
					_, _ = p.Add(context.Background(), from, eventtarget.Func(func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
						_ = p.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: eventType, ID: e.ID, Payload: e.Payload})
					})) // Setup is before anything that could be wrong
				}
				pass(eventtarget.T("chat.said", "*"), "worker.heard")
				pass(eventtarget.T("worker.say", "*"), "chat.said")
			}})
			if err != nil {
				return err
			}
			<-p.Done()
			return nil
		},
	}
}

// worker starts this program once more, as a worker, and makes it a spoke: a client of
// the hub that is bridged to it. It is no error where there are no workers.
func (d *demo) worker(ctx context.Context, spoke eventtarget.Target) (w *worker.Worker, err error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w, err = worker.Start(worker.Options{Path: path, Args: []string{demoWorker}, Options: link.Options{OnFault: warn(d.cmd)}})
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err = w.Ready(ctx); err == nil {
		_, err = w.Add(ctx, eventtarget.T("worker.heard", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
			d.hears("wanda", "chat.said", e.ID, string(e.Payload))
		}))
	}
	if err == nil {
		_, err = eventtarget.Bridge(ctx, w, spoke, &eventtarget.BridgeOptions{Topics: []eventtarget.Topic{eventtarget.T("chat.said", "*")}})
	}
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}
