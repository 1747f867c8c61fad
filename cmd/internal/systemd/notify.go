// Package systemd tells the service manager how a program stands (sd_notify(3)).
package systemd

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
)

// The states that a service tells.
const (
	Ready    = "READY=1"    // everything that was asked for is there, or reloaded
	Stopping = "STOPPING=1" // it ends
)

// Reloading begins a reload, which Ready ends.
func Reloading() string {
	state := "RELOADING=1"
	if now := monotonic(); now > 0 { // Type=notify-reload wants to know that it is a new one
		state += "\nMONOTONIC_USEC=" + strconv.FormatInt(now, 10)
	}
	return state
}

// Notify tells a state. Without a service manager it does nothing. The error says why it
// could not be told.
func Notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if rest, abstract := strings.CutPrefix(name, "@"); abstract {
		name = "\x00" + rest
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = c.Write([]byte(state))
	return errors.Join(err, c.Close())
}
