// Package natstarget is an event target on a NATS server, as a third party would
// write it: on the public packages of the toolkit alone. docs/writing-an-adapter.md
// leads through it.
//
// All targets with one prefix are a bus. An event is published under the subject
// PREFIX.TYPE.ID as a message of the toolkit's protocol, so that a server may say
// who publishes and hears what. Events arrive at most once, in each dispatcher's
// order; what is lost with a connection, or finds the inbox full, is told as a gap.
package natstarget

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/nats-io/nats.go"
)

// Options configures a [Target]. The zero value is ready to use.
type Options struct {
	// Options are the link's. Dial, Setup and Subscribe are the target's own; a
	// message within Limits must be below the max_payload of the server, too.
	link.Options
	// Prefix names the bus. Default "eventtarget".
	Prefix string
	// NATS are options of the connection: credentials, TLS.
	NATS []nats.Option
}

// Target is a member of a bus on a NATS server: an [eventtarget.Endpoint], most of
// which is its link.
type Target struct{ *link.Link }

// New returns a target on the server at rawURL, nats://USER:PASSWORD@HOST:PORT. It
// connects by itself, and again whenever the connection is lost: wait for Ready where
// that matters.
func New(rawURL string, o Options) (*Target, error) {
	if _, err := url.Parse(rawURL); err != nil {
		return nil, errors.New("natstarget: the URL cannot be parsed") // err may have a password
	}
	o.Prefix, o.Adapter, o.Subscribe = cmp.Or(o.Prefix, "eventtarget"), "nats", true
	t := &Target{}
	o.Setup = func(l *link.Link) { t.Link = l }
	o.Dial = func(ctx context.Context) (link.Conn, error) { return dial(ctx, rawURL, o, t.ReportFault) }
	if _, err := link.New(o.Options); err != nil {
		return nil, err
	}
	return t, nil
}

// Add makes l hear the events on topic. It returns once the server has confirmed the
// subscription; see [link.Link.Add].
func (t *Target) Add(ctx context.Context, topic eventtarget.Topic, l eventtarget.Listener[eventtarget.Raw]) (*eventtarget.Registration, error) {
	if handle := l.Handle; handle != nil {
		l.Handle = func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
			e.Source = nil // a link names its other end, and a bus has none
			handle(ctx, e)
		}
	}
	return t.Link.Add(ctx, topic, l)
}

// Open is the opener of nats:// for an [eventtarget.Mux]. The parameters of the URL
// are prefix and echo (true, false).
func Open(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	if err := eventtarget.CheckParameters(u, "prefix", "echo"); err != nil {
		return nil, err
	}
	echo, err := strconv.ParseBool(cmp.Or(u.Query().Get("echo"), "true"))
	if err != nil {
		return nil, fmt.Errorf("parameter echo: %w", err)
	}
	return New(strings.Split(u.String(), "?")[0], Options{Prefix: u.Query().Get("prefix"), Options: link.Options{Echo: echo}})
}

// subject returns where events on a topic are published, or what a selector
// subscribes to.
func subject(prefix string, t eventtarget.Topic) string {
	return token(prefix) + "." + token(t.Type) + "." + token(t.ID)
}

// token escapes what NATS would not take for text, or for text of one token. Nothing
// else becomes "%".
func token(s string) string {
	if s == eventtarget.Wildcard {
		return "*"
	}
	return cmp.Or(strings.ReplaceAll(url.QueryEscape(s), ".", "%2E"), "%")
}
