package open

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/sseclient"
	"github.com/eventtarget-go/toolkit/wsclient"
)

func (o Options) webSocket(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	c, err := o.parse(u, "subscribe", "token-file")
	if err != nil {
		return nil, err
	}
	subscribe, err := parseBool(u.Query(), "subscribe", false)
	if err != nil {
		return nil, err
	}
	token, err := tokenOf(u)
	if err != nil {
		return nil, err
	}
	server := *u
	server.RawQuery = ""
	client, err := wsclient.New(server.String(), &wsclient.Options{
		Token: token, Options: link.Options{Subscribe: subscribe, Echo: c.echo, Limits: c.limits, Overflow: o.Overflow, OnFault: o.OnFault},
	})
	if err != nil {
		return nil, err
	}
	return client, nil
}

// tokenOf returns what reads the token of a URL, or nil. Errors do not name the file: it
// may be the token, in the wrong place.
func tokenOf(u *url.URL) (func(context.Context) (string, error), error) {
	if !u.Query().Has("token-file") {
		return nil, nil
	}
	file := u.Query().Get("token-file")
	read := func(context.Context) (string, error) {
		text, err := os.ReadFile(file)
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			return "", fmt.Errorf("parameter token-file: the file cannot be read: %w", e.Err)
		}
		return strings.TrimSpace(string(text)), err
	}
	_, err := read(context.Background())
	return read, err
}

func (o Options) events(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	c, err := o.parse(u, "topic", "token-file")
	if err != nil {
		return nil, err
	}
	token, err := tokenOf(u)
	if err != nil {
		return nil, err
	}
	var topics []eventtarget.Topic
	for _, text := range u.Query()["topic"] {
		t, err := eventtarget.ParseTopic(text)
		if err != nil {
			return nil, fmt.Errorf("parameter topic: %w", err)
		}
		topics = append(topics, t)
	}
	stream := *u
	stream.Scheme = strings.TrimPrefix(u.Scheme, "sse+")
	stream.RawQuery = ""
	client, err := sseclient.New(stream.String(), &sseclient.Options{
		Topics: topics, Token: token, Options: link.Options{Limits: c.limits, OnFault: o.OnFault},
	})
	if err != nil {
		return nil, err
	}
	return client, nil
}
