package open

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Requirement is a promise that a program relies on. See [Options.Require].
type Requirement string

// The requirements. They are named after the capability card that package conformance
// prints, which says what the adapter behind a scheme was seen to keep.
const (
	// Ordered: what one goroutine dispatches is heard in that order.
	Ordered Requirement = "ordered"
	// Bidirectional: the target dispatches, it does not only listen.
	Bidirectional Requirement = "bidirectional"
	// Relay: all who open the URL hear each other. A hub must be set to relay.
	Relay Requirement = "relay"
	// Source: an event names the peer that it came from, so that it can be answered.
	Source Requirement = "source"
	// Identity: both ends have proved who they are.
	Identity Requirement = "identity"
	// Reconnects: a connection that was lost is made again, and listeners stay.
	Reconnects Requirement = "reconnects"
	// Resumes: what is dispatched at either end meanwhile is heard then.
	Resumes Requirement = "resumes"
)

var requirements = []Requirement{Ordered, Bidirectional, Relay, Source, Identity, Reconnects, Resumes}

// ErrUnmet is in the error of opening a URL whose scheme does not keep what
// [Options.Require] says.
var ErrUnmet = errors.New("requirement not met")

// Card returns what a target that is opened by rawURL keeps: it follows from the scheme
// and the parameters, and nothing is opened. Of a scheme that leads to a server it is
// what holds with one of this toolkit. The error says that the URL cannot be parsed or
// that the scheme is none of this package's.
func Card(rawURL string) ([]Requirement, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("open: the URL cannot be parsed") // url.Parse repeats it, with a password
	}
	card := cardOf(u)
	if card == nil {
		return nil, fmt.Errorf("open: %w", eventtarget.ErrUnknownScheme)
	}
	return card, nil
}

// cardOf returns nil for a scheme that is not ours. Each card is compared with what the
// adapter declares to the conformance suite by TestCards.
func cardOf(u *url.URL) []Requirement {
	set := func(parameter string) bool {
		b, err := parseBool(u.Query(), parameter, false)
		return err == nil && b
	}
	switch u.Scheme {
	case "mem": // which has no connection that could be lost
		return []Requirement{Ordered, Bidirectional, Relay, Reconnects, Resumes}
	case "ws", "wss":
		return []Requirement{Ordered, Bidirectional, Relay, Source, Reconnects, Resumes}
	case "quic":
		if set("insecure") {
			return []Requirement{Ordered, Bidirectional, Relay, Source, Reconnects, Resumes}
		}
		return []Requirement{Ordered, Bidirectional, Relay, Source, Identity, Reconnects, Resumes}
	case "sse+http", "sse+https":
		return []Requirement{Ordered, Source, Reconnects, Resumes}
	case "worker":
		return []Requirement{Ordered, Bidirectional, Source}
	case "redis", "rediss":
		switch {
		case set("durable") && u.Query().Has("group"): // whose members share the events
			return []Requirement{Bidirectional, Reconnects, Resumes}
		case set("durable"):
			return []Requirement{Ordered, Bidirectional, Relay, Reconnects, Resumes}
		}
		return []Requirement{Ordered, Bidirectional, Relay, Reconnects}
	case "redis+cluster", "rediss+cluster":
		if n, err := strconv.Atoi(u.Query().Get("shards")); err == nil && n > 1 { // no common order of different types
			return []Requirement{Bidirectional, Relay, Reconnects}
		}
		return []Requirement{Ordered, Bidirectional, Relay, Reconnects}
	default:
		return nil
	}
}

// requiring returns an opener that refuses a URL whose card lacks something, before
// anything is opened.
func (o Options) requiring(open eventtarget.Opener) eventtarget.Opener {
	return func(ctx context.Context, u *url.URL) (eventtarget.Endpoint, error) {
		if missing := unmet(cardOf(u), o.Require); len(missing) > 0 {
			return nil, fmt.Errorf("%w: %s (it would be with: %s)", ErrUnmet, join(missing, ", "), meeting(o.Require))
		}
		return open(ctx, u)
	}
}

// unmet returns what of the required a card lacks.
func unmet(card, required []Requirement) (missing []Requirement) {
	for _, r := range required {
		if !slices.Contains(card, r) {
			missing = append(missing, r)
		}
	}
	return missing
}

// meeting names the kinds of URLs that keep all that is required.
func meeting(required []Requirement) string {
	var kinds []string
	for _, kind := range []string{"mem:", "ws:", "quic:", "redis:", "redis:?durable=true", "sse+http:", "worker:"} {
		u, err := url.Parse(kind)
		if err == nil && len(unmet(cardOf(u), required)) == 0 {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) == 0 {
		for _, r := range unmet(requirements, required) {
			return fmt.Sprintf("nothing, as there is no requirement %q; there are %s", r, join(requirements, ", "))
		}
		return "nothing that this package opens"
	}
	return strings.Join(kinds, ", ")
}

func join(rs []Requirement, between string) string {
	var names []string
	for _, r := range rs {
		names = append(names, string(r))
	}
	return strings.Join(names, between)
}
