package open_test

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/open"
)

// TestCards: each scheme's card is what its adapter declares to the conformance suite,
// which sees that it is so. The declarations are read from the adapters' tests.
func TestCards(t *testing.T) {
	checked := map[string]bool{}
	for _, c := range []struct {
		url, file string
		names     []string // of harnesses: one holds with sessions, another where the hub relays
		more      []open.Requirement
	}{
		// Nothing is lost where there is no connection.
		{"mem://x", "../inprocess/conformance_test.go", []string{"inprocess, bus"}, []open.Requirement{open.Reconnects, open.Resumes}},
		{"ws://x", "../wsserver/conformance_test.go", []string{"wsserver with wsclient", "wsserver, relay, plain"}, nil},
		{"wss://x", "../wsserver/conformance_test.go", []string{"wsserver with wsclient", "wsserver, relay, plain"}, nil},
		{"quic://x", "../quichub/conformance_test.go", []string{"quichub with quicspoke", "quichub, relay, plain"}, nil},
		{"sse+http://x", "../ssehub/conformance_test.go", []string{"ssehub with sseclient"}, nil},
		{"sse+https://x", "../ssehub/conformance_test.go", []string{"ssehub with sseclient"}, nil},
		{"worker:///x", "../worker/conformance_test.go", []string{"worker"}, nil},
		{"redis://x", "../redis/conformance_test.go", []string{"redis"}, nil},
		{"redis://x?durable=true", "../redis/conformance_test.go", []string{"redis, durable"}, nil},
		{"redis+cluster://x", "../redis/conformance_test.go", []string{"redis, cluster"}, nil},
		{"rediss+cluster://x", "../redis/conformance_test.go", []string{"redis, cluster"}, nil},
		{"rediss://x?durable=false", "../redis/conformance_test.go", []string{"redis"}, nil},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), c.file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		want := c.more
		for _, name := range c.names {
			for _, r := range promises(declared(t, f, name)) {
				if !slices.Contains(want, r) {
					want = append(want, r)
				}
			}
		}
		card, err := open.Card(c.url)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(card)
		slices.Sort(want)
		if !slices.Equal(card, want) {
			t.Errorf("the card of %s says %q, what %q declares %q", c.url, card, c.names, want)
		}
		scheme, _, _ := strings.Cut(c.url, ":")
		checked[scheme] = true
	}
	for _, scheme := range open.NewMux(nil).Schemes() {
		if !checked[scheme] {
			t.Errorf("the card of %s is not compared with anything", scheme)
		}
	}
}
