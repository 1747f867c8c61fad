package main

import (
	"context"
	"errors"
	"fmt"
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

// quicFlags are what a hub needs to be reached over QUIC.
type quicFlags struct {
	listen, key string
	allow       []string
}

func (f *quicFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.listen, "quic", "", "address to listen at for QUIC; needs --key and --allow")
	cmd.Flags().StringVar(&f.key, "key", "", "file of the hub's private key: see keygen")
	cmd.Flags().StringArrayVar(&f.allow, "allow", nil, "pin of a spoke that may connect over QUIC (repeatable)")
}

// serve makes a hub be reached over QUIC, too, and returns the URL; empty if that is
// not asked for.
func (f *quicFlags) serve(h *hub.Hub) (url string, err error) {
	switch {
	case f.listen == "" && f.key == "" && len(f.allow) == 0:
		return "", nil
	case f.listen == "" || f.key == "" || len(f.allow) == 0:
		return "", errors.New("--quic, --key and --allow go together")
	}
	var who identity.Config
	if who.Key, err = identity.Load(f.key); err != nil {
		return "", err
	}
	for _, text := range f.allow {
		pin, err := identity.ParsePin(text)
		if err != nil {
			return "", err
		}
		who.Pins = append(who.Pins, pin)
	}
	l, err := listenQUIC(h, f.listen, who)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("quic://%s?pin=%s", l.Addr(), who.Key.Pin()), nil
}

func listenQUIC(h *hub.Hub, address string, who identity.Config) (*quichub.Listener, error) {
	socket, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, err
	}
	return quichub.Serve(h, socket, quichub.ListenerOptions{Identity: who})
}
