package main

import (
	"context"
	"net"

	"github.com/spf13/cobra"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quichub"
)

func newKeygen() *cobra.Command {
	return &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a private key for QUIC and print its pin",
		Long: "Make a private key for QUIC, in a new file that only its owner can read, and print its\n" +
			"pin: what the other end is given to know it.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := identity.Create(args[0])
			if err != nil {
				return err
			}
			cmd.Println(key.Pin())
			return nil
		},
	}
}

func listenQUIC(h *hub.Hub, address string, who identity.Config) (*quichub.Listener, error) {
	socket, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, err
	}
	return quichub.Serve(h, socket, quichub.ListenerOptions{Identity: who})
}
