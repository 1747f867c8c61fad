package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quichub"
)

func newKeygen() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a private key for QUIC and print its pin",
		Long: "Make a private key for QUIC, in a new file that only its owner can read, and print its\n" +
			"pin: what the other end is given to know it. A file that is there is never written\n" +
			"over; --pin prints the pin of the key in it.",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keyOf := identity.Create
			if show {
				keyOf = identity.Load
			}
			key, err := keyOf(args[0])
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%w; write the name of a new file, or --pin to see the pin of this key", err)
			}
			if err != nil {
				return err
			}
			cmd.Println(key.Pin())
			return nil
		},
	}
	cmd.Flags().BoolVar(&show, "pin", false, "make no key; print the pin of the one that is there")
	return cmd
}

func listenQUIC(h *hub.Hub, address string, who identity.Config) (*quichub.Listener, error) {
	socket, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, err
	}
	return quichub.Serve(h, socket, quichub.ListenerOptions{Identity: who})
}
