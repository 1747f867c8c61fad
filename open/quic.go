package open

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

func (o Options) quic(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	c, err := o.parse(u, "pin", "key", "insecure", "subscribe")
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("write quic://HOST:PORT?pin=PIN&key=FILE")
	}
	q := u.Query()
	subscribe, err := parseBool(q, "subscribe", false)
	if err != nil {
		return nil, err
	}
	var who identity.Config
	if who.Insecure, err = parseBool(q, "insecure", false); err != nil {
		return nil, err
	}
	for _, text := range q["pin"] {
		pin, err := identity.ParsePin(text)
		if err != nil {
			return nil, errors.New("parameter pin: this is no pin, which is sha256- and 43 characters") // but maybe a key
		}
		who.Pins = append(who.Pins, pin)
	}
	if len(who.Pins) == 0 && !who.Insecure {
		return nil, errors.New("parameter pin: whose hub it is to be is not said (or insecure=true)")
	}
	if file := q.Get("key"); file != "" {
		who.Key, err = identity.Load(file)
	} else {
		who.Key, err = identity.New()
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok { // without the name: it may be the key
		return nil, fmt.Errorf("parameter key: the file cannot be read: %w", e.Err)
	}
	if err != nil {
		return nil, err
	}
	s, err := quicspoke.New(u.Host, &quicspoke.Options{
		Identity: who, Options: link.Options{Subscribe: subscribe, Echo: c.echo, Limits: c.limits, Overflow: o.Overflow, OnFault: o.OnFault},
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}
