package natstarget_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

const (
	guide   = "../../docs/writing-an-adapter.md"
	imports = "import (" // what the file of the guide begins with
)

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
	for _, block := range blocks(t) {
		if !strings.HasPrefix(block, imports) && !strings.Contains(code.String(), plain(block)) {
			t.Errorf("this stands in the guide and not in the code:\n%s", block)
		}
	}
}

// blocks returns the Go code of the guide.
func blocks(t *testing.T) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(read(t, guide), -1) {
		all = append(all, m[1])
	}
	if len(all) < 10 {
		t.Fatalf("the guide has only %d blocks of code", len(all))
	}
	return all
}

// TestGuideIsWhole: who writes down the guide's code in its order has an adapter that
// compiles, also with the tests.
func TestGuideIsWhole(t *testing.T) {
	all := blocks(t)
	begins := slices.IndexFunc(all, func(block string) bool { return strings.HasPrefix(block, imports) })
	if begins < 0 {
		t.Fatal("no block begins the file")
	}
	dir := t.TempDir()
	files := map[string]string{"natstarget.go": "package natstarget\n" + strings.Join(all[begins:], "\n"), "conn.go": "package natstarget\n"}
	replace := map[string]string{}
	for name, text := range files {
		real, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		replace[real] = filepath.Join(dir, name)
		if err := os.WriteFile(replace[real], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "test", "-race", "-c", "-overlay", file, "-o", os.DevNull, ".").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
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
