package repo

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/open"
)

// TestCardTable: the README's table of what a URL keeps is what package open says, which is
// compared with what each adapter declares to the conformance suite by a test there.
// `go test ./internal/repo -run CardTable -update` writes it.
func TestCardTable(t *testing.T) {
	const file, begin, end = "../../README.md", "<!-- generated from package open -->\n", "<!-- end -->"
	all := []open.Requirement{open.Ordered, open.Bidirectional, open.Relay, open.Source, open.Identity, open.Reconnects, open.Resumes}
	var table strings.Builder
	table.WriteString("\n| URL |")
	for _, r := range all {
		fmt.Fprintf(&table, " %s |", r)
	}
	table.WriteString("\n|---|" + strings.Repeat(":-:|", len(all)) + "\n")
	for _, url := range []string{"mem://", "ws://", "quic://", "redis://", "redis://…?durable=true", "sse+http://", "worker:///"} {
		card, err := open.Card(url)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&table, "| `%s` |", url)
		for _, r := range all {
			mark := " "
			if slices.Contains(card, r) {
				mark = "✓"
			}
			fmt.Fprintf(&table, " %s |", mark)
		}
		table.WriteString("\n")
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
		t.Errorf("%s is not what package open says; write it with -update", file)
	}
	if n := strings.Count(want, "\n"); n > 150 {
		t.Errorf("%s has %d lines: it is for who has five minutes", file, n)
	}
}
