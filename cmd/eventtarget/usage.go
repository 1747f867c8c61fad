package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
)

// takes wants a number of arguments, and otherwise tells how the command is written; a
// negative most means any number.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return fmt.Errorf("the number of arguments is %d; write %s", len(args), cmd.UseLine())
		}
		return nil
	}
}

// noCommand says which commands there are.
func noCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return root.Help()
	}
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	meant := ""
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		meant = "did you mean " + strings.Join(near, " or ") + "? "
	}
	return fmt.Errorf("there is no command %q; %sknown: %s", args[0], meant, strings.Join(names, ", "))
}

// flagForms are what to write for a flag, by its type.
var flagForms = map[string]string{
	"bool": "true or false", "int": "a whole number", "float64": "a number", "duration": "a time such as 500ms, 10s or 1m",
}

// badFlag says what to write instead of a flag that means nothing.
func badFlag(cmd *cobra.Command, err error) error {
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if form := flagForms[bad.GetFlag().Value.Type()]; form != "" {
			return fmt.Errorf("--%s: %q is not of that form; write %s", bad.GetFlag().Name, bad.GetValue(), form)
		}
	}
	return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
}

// examples are URLs to write.
const examples = "ws://127.0.0.1:8080/ws, quic://HOST:PORT?pin=PIN, sse+http://127.0.0.1:8080/sse, redis://HOST:PORT or mem://NAME"

// parseURL reads a URL that a target may be opened by. The error does not repeat it: it may
// have a password.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("the URL cannot be parsed; write one such as " + examples)
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil { // what is added to it would hide that
		return nil, errors.New("the parameters of the URL cannot be read; write NAME=VALUE with & in between, and what else has a meaning in a URL as %XX")
	}
	schemes := open.NewMux(nil).Schemes()
	if !slices.Contains(schemes, u.Scheme) {
		return nil, fmt.Errorf("%w %q (known: %s); write a URL such as %s", eventtarget.ErrUnknownScheme, u.Scheme, strings.Join(schemes, ", "), examples)
	}
	return u, nil
}

// asking returns the URL by which a hub is asked for these topics only, unless it says
// itself what it asks for: what a hub lets its spokes have may be less than everything.
func asking(u *url.URL, topics []string) *url.URL {
	asks := *u
	q := u.Query()
	switch u.Scheme {
	case "ws", "wss", "quic":
		if !q.Has("subscribe") {
			q.Set("subscribe", "true")
		}
	case "sse+http", "sse+https":
		if !q.Has("topic") {
			q["topic"] = topics
		}
	}
	asks.RawQuery = q.Encode()
	return &asks
}

// hint adds to why a target is not to be had what could be written in the URL.
func hint(err error, u *url.URL) error {
	q := u.Query()
	switch {
	case !errors.Is(err, eventtarget.ErrForbidden):
		return err
	case u.Scheme == "quic" && !q.Has("key"):
		return fmt.Errorf("%w; write key=FILE in the URL, with a key whose pin the hub allows (eventtarget keygen)", err)
	case u.Scheme == "quic":
		return fmt.Errorf("%w; does the hub --allow what eventtarget keygen --pin prints of the key?", err)
	case u.Scheme != "worker" && !q.Has("token-file"):
		return fmt.Errorf("%w; write token-file=FILE in the URL, if the hub wants a token", err)
	}
	return err
}
