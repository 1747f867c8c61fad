package open_test

import (
	"flag"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
)

var update = flag.Bool("update", false, "write the table of cards into the guide")

// TestCardsBeside: in the guide to writing an adapter the card of its example stands
// beside ours, all as they are declared to the conformance suite, which sees that it is so.
// `go test ./open -run CardsBeside -update` writes them.
func TestCardsBeside(t *testing.T) {
	const file, begin, end = "../docs/writing-an-adapter.md", "<!-- generated from the adapters' declarations -->\n", "<!-- end -->"
	var table strings.Builder
	for i, c := range []struct{ file, name, shown string }{
		{"inprocess", "inprocess, bus", "inprocess"},
		{"wsserver", "wsserver with wsclient", ""},
		{"ssehub", "ssehub with sseclient", ""},
		{"quichub", "quichub with quicspoke", ""},
		{"worker", "worker", ""},
		{"redis", "redis", ""},
		{"redis", "redis, durable", ""},
		{"redis", "redis, cluster", ""},
		{"examples/nats", "nats", "**nats, the example**"},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "../"+c.file+"/conformance_test.go", nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		// A heading, an empty line, and three of a table: its names, a rule, the card.
		lines := strings.Split(conformance.Report{Caps: declared(t, f, c.name)}.Markdown(), "\n")
		if i == 0 {
			table.WriteString("\n| adapter " + lines[2] + "\n|---" + lines[3] + "\n")
		}
		shown := c.shown
		if shown == "" {
			shown = c.name
		}
		table.WriteString("| " + shown + " " + lines[4] + "\n")
	}
	table.WriteString("\n")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no lines %q and %q", file, begin, end)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s is not what the adapters declare; write it with -update", file)
	}
}
