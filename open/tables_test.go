package open_test

import (
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/open"
)

var update = flag.Bool("update", false, "write the tables of cards into the documents")

// table compares what a document has between two lines with a generated table, or writes it
// there. It returns the document.
func table(t *testing.T, file, begin, table string) (text string) {
	t.Helper()
	const end = "<!-- end -->"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no lines %q and %q", file, begin, end)
	}
	text = before + begin + "\n" + table + "\n" + end + after
	switch {
	case *update:
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	case string(b) != text:
		t.Errorf("%s is not what is declared; write it with -update", file)
	}
	return text
}

// TestTableOfURLs: the README's table of what a URL keeps is what this package says, which
// TestCards compares with what each adapter declares to the conformance suite.
// `go test ./open -run Table -update` writes it.
func TestTableOfURLs(t *testing.T) {
	const file = "../README.md"
	all := []open.Requirement{open.Ordered, open.Bidirectional, open.Relay, open.Source, open.Identity, open.Reconnects, open.Resumes}
	var rows strings.Builder
	rows.WriteString("| URL |")
	for _, r := range all {
		fmt.Fprintf(&rows, " %s |", r)
	}
	rows.WriteString("\n|---|" + strings.Repeat(":-:|", len(all)) + "\n")
	for _, url := range []string{"mem://", "ws://", "quic://", "redis://", "redis://…?durable=true", "sse+http://", "worker:///"} {
		card, err := open.Card(url)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&rows, "| `%s` |", url)
		for _, r := range all {
			mark := " "
			if slices.Contains(card, r) {
				mark = "✓"
			}
			fmt.Fprintf(&rows, " %s |", mark)
		}
		rows.WriteString("\n")
	}
	text := table(t, file, "<!-- generated from package open -->\n", rows.String())
	if n := strings.Count(text, "\n"); n > 150 {
		t.Errorf("%s has %d lines: it is for who has five minutes", file, n)
	}
}

// TestTableOfCards: in the guide to writing an adapter the card of its example stands beside
// ours, all as they are declared to the conformance suite, which sees that it is so.
func TestTableOfCards(t *testing.T) {
	var rows strings.Builder
	for i, c := range []struct{ folder, name, shown string }{
		{"inprocess", "inprocess, bus", "inprocess"},
		{"wsserver", "wsserver with wsclient", "wsserver with wsclient"},
		{"ssehub", "ssehub with sseclient", "ssehub with sseclient"},
		{"quichub", "quichub with quicspoke", "quichub with quicspoke"},
		{"worker", "worker", "worker"},
		{"redis", "redis", "redis"},
		{"redis", "redis, durable", "redis, durable"},
		{"redis", "redis, cluster", "redis, cluster"},
		{"examples/nats", "nats", "**nats, the example**"},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "../"+c.folder+"/conformance_test.go", nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		// A heading, an empty line, and three of a table: its names, a rule, the card.
		lines := strings.Split(conformance.Report{Caps: declared(t, f, c.name)}.Markdown(), "\n")
		if i == 0 {
			rows.WriteString("| adapter " + lines[2] + "\n|---" + lines[3] + "\n")
		}
		rows.WriteString("| " + c.shown + " " + lines[4] + "\n")
	}
	table(t, "../docs/writing-an-adapter.md", "<!-- generated from the adapters' declarations -->\n", rows.String())
}
