package repo

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	fence = regexp.MustCompile("(?ms)^```([a-z]*)[^\n]*\n(.*?)^```[ \t]*$")
	link  = regexp.MustCompile(`\]\(([^()\s]+)(?:\s+"[^"]*")?\)`)
)

// TestLinks follows every link of every document to a file of the repository.
// What stands on other sites is not looked at: a test needs no network.
func TestLinks(t *testing.T) {
	for _, file := range files(t, ".md") {
		for _, target := range links(read(t, file)) {
			u, err := url.Parse(target)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if u.Scheme != "" || u.Path == "" {
				continue
			}
			full := path.Join(path.Dir(file), u.Path)
			if strings.HasPrefix(full, "..") || strings.HasPrefix(u.Path, "/") {
				t.Errorf("%s: %s leads out of the repository", file, target)
			} else if _, err := os.Stat(filepath.Join(root, full)); err != nil {
				t.Errorf("%s: %s: no such file", file, target)
			}
		}
	}
}

func TestLinksIn(t *testing.T) {
	text := "[a](b.md#c) ![d](e.svg \"title\")\n```go\nx[i](y)\n```\n`z[j](k)`\n"
	if got := strings.Join(links(text), " "); got != "b.md#c e.svg" {
		t.Errorf("got %q", got)
	}
}

// links returns the targets of a document's links; code is left out.
func links(text string) (targets []string) {
	text = fence.ReplaceAllString(text, "")
	text = regexp.MustCompile("`[^`\n]*`").ReplaceAllString(text, "")
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		targets = append(targets, m[1])
	}
	return targets
}

// TestSnippets compiles every Go block of the documents that is a whole file.
// The files stand in an overlay, in packages of the root module that exist for
// this build only, so that nothing is written into the checkout.
func TestSnippets(t *testing.T) {
	dir := t.TempDir()
	replace := map[string]string{}
	args := []string{"build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", os.DevNull}
	for _, file := range files(t, ".md") {
		for i, m := range fence.FindAllStringSubmatch(read(t, file), -1) {
			if m[1] != "go" || !regexp.MustCompile(`(?m)^package `).MatchString(m[2]) {
				continue
			}
			name := fmt.Sprintf("%s%d", strings.NewReplacer("/", "_", ".", "_").Replace(file), i)
			source := filepath.Join(dir, name+".go")
			if err := os.WriteFile(source, []byte(m[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			pkg, err := filepath.Abs(filepath.Join("snippets", name))
			if err != nil {
				t.Fatal(err)
			}
			replace[filepath.Join(pkg, "main.go")] = source
			args = append(args, "./internal/repo/snippets/"+name)
		}
	}
	if len(replace) == 0 {
		t.Fatal("no document shows a whole Go file")
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, "go", args...)
}

// TestBenchmarks: what bench measures is measured by make bench, and has its place in
// docs/benchmarks.md: a table, or a plot.
func TestBenchmarks(t *testing.T) {
	var measured []*regexp.Regexp
	for _, m := range regexp.MustCompile(`bench .*-bench '?([^\s'/]+)`).FindAllStringSubmatch(read(t, "scripts/bench.sh"), -1) {
		measured = append(measured, regexp.MustCompile(m[1]))
	}
	shown := read(t, "docs/benchmarks.md") + read(t, "bench/report/plots.go")
	found := 0
	for _, file := range files(t, "_test.go") {
		if path.Dir(file) != "bench" {
			continue
		}
		for _, m := range regexp.MustCompile(`(?m)^func Benchmark(\w+)\(`).FindAllStringSubmatch(read(t, file), -1) {
			found++
			if !slices.ContainsFunc(measured, func(c *regexp.Regexp) bool { return c.MatchString(m[1]) }) {
				t.Errorf("scripts/bench.sh has no command that runs Benchmark%s", m[1])
			}
			if !regexp.MustCompile(`(txt", "|bench: \w+ )` + m[1] + `\b`).MatchString(shown) {
				t.Errorf("docs/benchmarks.md shows nothing of Benchmark%s", m[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d benchmarks were found", found)
	}
}
