package open_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
)

// TestRequire: a URL that would lose a promise is refused before anything is opened,
// with what is missing and what would keep it.
func TestRequire(t *testing.T) {
	hub := serve(t)
	for _, c := range []struct {
		url     string
		require []open.Requirement
		want    string // empty: it is opened
	}{
		{"mem://require", []open.Requirement{open.Ordered, open.Resumes, open.Relay, open.Bidirectional}, ""},
		{hub, []open.Requirement{open.Ordered, open.Resumes, open.Source}, ""},
		{hub, nil, ""},
		{hub, []open.Requirement{open.Ordered, open.Identity}, "ws: open: requirement not met: identity (it would be with: quic:)"},
		{"redis://127.0.0.1:1", []open.Requirement{open.Resumes, open.Bidirectional}, "redis: open: requirement not met: resumes (it would be with: mem:, ws:, quic:, redis:?durable=true)"},
		{"redis://u:secret@127.0.0.1:1?durable=true", []open.Requirement{open.Resumes, open.Source}, "redis: open: requirement not met: source (it would be with: ws:, quic:, sse+http:)"},
		{"sse+http://127.0.0.1:1", []open.Requirement{open.Bidirectional, open.Relay}, "requirement not met: bidirectional, relay (it would be with: mem:, ws:, quic:, redis:, redis:?durable=true)"},
		{"worker:///bin/true", []open.Requirement{open.Reconnects}, "requirement not met: reconnects"},
		{"quic://127.0.0.1:1?insecure=true", []open.Requirement{open.Identity}, "requirement not met: identity (it would be with: quic:)"},
		{"mem://require", []open.Requirement{open.Source, open.Relay, open.Identity}, "requirement not met: source, identity (it would be with: quic:)"},
		{"mem://require", []open.Requirement{"resume"}, `resume (it would be with: nothing, as there is no requirement "resume"; there are ordered, bidirectional, relay, source, identity, reconnects, resumes)`},
	} {
		target, err := open.NewMux(&open.Options{Require: c.require, OnFault: func(eventtarget.Fault) {}}).Open(t.Context(), c.url)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s with %q: %v", c.url, c.require, err)
				continue
			}
			target.Close()
			<-target.Done()
			continue
		}
		if target != nil || !errors.Is(err, open.ErrUnmet) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s with %q: %v, want %s", c.url, c.require, err, c.want)
		}
	}
}

func TestCard(t *testing.T) {
	card, err := open.Card("worker:///bin/true")
	if want := []open.Requirement{open.Ordered, open.Bidirectional, open.Source}; err != nil || !slices.Equal(card, want) {
		t.Errorf("the card of a worker is %q, %v", card, err)
	}
	// docs/redis.md: members of a group share the events, shards have an order each.
	for url, lacks := range map[string][]open.Requirement{
		"redis://x?durable=true&group=g": {open.Ordered, open.Relay},
		"redis+cluster://x?shards=3":     {open.Ordered},
	} {
		card, err := open.Card(url)
		if err != nil || slices.ContainsFunc(lacks, func(r open.Requirement) bool { return slices.Contains(card, r) }) {
			t.Errorf("the card of %s is %q, %v", url, card, err)
		}
	}
	if card, err := open.Card("gopher://x"); card != nil || !errors.Is(err, eventtarget.ErrUnknownScheme) {
		t.Errorf("the card of an unknown scheme is %q, %v", card, err)
	}
	if card, err := open.Card("ws://u:secret@\x00"); card != nil || err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the card of no URL is %q, %v", card, err)
	}
}
