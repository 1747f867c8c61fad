package repo

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
)

var update = flag.Bool("update", false, "write what is generated in docs")

// TestSemantics: the table of laws in docs/semantics.md is that of the suite.
// `go test ./internal/repo -run Semantics -update` writes it.
func TestSemantics(t *testing.T) {
	const file, mark = "../../docs/semantics.md", "<!-- generated from package conformance -->\n"
	var table strings.Builder
	table.WriteString("\n| law | name | class | statement | why |\n|---|---|---|---|---|\n")
	for _, l := range conformance.Laws() {
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", l.ID, l.Name, l.Class,
			strings.ReplaceAll(l.Statement, "|", "\\|"), strings.ReplaceAll(l.Why, "|", "\\|"))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	written, _, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no line %q", file, mark)
	}
	want := written + mark + table.String()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s is not what the suite says; write it with -update", file)
	}
}
