package natstarget_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

const guide = "../../docs/writing-an-adapter.md"

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGuide: every Go block of the guide stands in a file of this module.
func TestGuide(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range files {
		code.WriteString(plain(read(t, file)))
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(read(t, guide), -1)
	if len(blocks) < 10 {
		t.Fatalf("the guide has only %d blocks of code", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(code.String(), plain(block[1])) {
			t.Errorf("this stands in the guide and not in the code:\n%s", block[1])
		}
	}
}

// plain returns the lines of a text without their indentation.
func plain(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("\n" + strings.TrimSpace(line))
	}
	return b.String() + "\n"
}

// TestCard: the capability card in the guide is the one of the harness.
func TestCard(t *testing.T) {
	h := harness(t, "nats", link.Options{Echo: true})
	card, _, _ := strings.Cut(conformance.Report{Name: h.Name, Caps: h.Caps}.Markdown(), "| law |")
	if !strings.Contains(read(t, guide), "\n"+card) {
		t.Errorf("the card is not the one in the guide; it is\n%s", card)
	}
}

// TestSize: the guide says how little it takes.
func TestSize(t *testing.T) {
	const most = 200 // lines of code: no comments, imports and empty lines
	lines := 0
	for _, file := range []string{"natstarget.go", "conn.go"} {
		_, code, _ := strings.Cut(read(t, file), "\n)\n") // behind the imports
		for line := range strings.Lines(code) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
	}
	if lines > most {
		t.Errorf("the adapter has %d lines of code, more than %d", lines, most)
	}
}
