package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlots: what is drawn is what was measured. make report draws it anew.
func TestPlots(t *testing.T) {
	const docs = "../../docs"
	all, err := draw(docs)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join(docs, "plots", name))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("docs/plots/%s is not what the data say: run make report", name)
		}
	}
	drawn, err := filepath.Glob(filepath.Join(docs, "plots", "*.svg"))
	if err != nil || len(drawn) != len(all) {
		t.Errorf("docs/plots has %d plots, want %d: %v", len(drawn), len(all), err)
	}
}

// TestTables: so are the tables. make report writes them anew.
func TestTables(t *testing.T) {
	text, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := fill(string(text), "../../docs/data")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != want {
		t.Error("docs/benchmarks.md is not what the data say: run make report")
	}
}

// TestRatios: medians, spreads and ratios of the same rounds, where one side was measured
// less often.
func TestRatios(t *testing.T) {
	dir := t.TempDir()
	const text = `commit: abc
load: 0.5
BenchmarkX/n=1/floor-2 1 100 ns/op 7 B/op
BenchmarkX/n=1/registry-2 1 150 ns/op 7 B/op
BenchmarkX/n=20/floor-2 1 1000 ns/op
BenchmarkX/n=1/floor-2 1 200 ns/op 9 B/op
load: 2.5
BenchmarkX/n=1/registry-2 1 400 ns/op 9 B/op
BenchmarkX/n=1/floor-2 1 140 ns/op 9 B/op
`
	if err := os.WriteFile(filepath.Join(dir, "x.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := fill("<!-- bench: x X; ns/op B/op -->\nold\n<!-- end -->\n", dir)
	if err != nil {
		t.Fatal(err)
	}
	want := `<!-- bench: x X; ns/op B/op -->
|  | n=1 | n=20 |
| --- | --- | --- |
| floor | 140 ±43 % (9) | 1 000 |
| **registry** | **400 ±62 % (9)** |  |
| registry / floor | 2x (1x) |  |

ns/op, B/op: 3 rounds at a load of 0.5 to 2.5; commit abc.
<!-- end -->
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := fill("<!-- bench: x Y; ns/op -->\n<!-- end -->\n", dir); err == nil || !strings.Contains(err.Error(), "benchmark:Y") {
		t.Errorf("a benchmark that was not measured: %v", err)
	}
}

// TestNumbers: the marks of an axis are what a reader expects.
func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		plain(20000): "20k", plain(3): "3", thousands(25540): "25 540", thousands(999): "999",
		kilobytes(5000): "5 kB", seconds(1e-9)(50): "50 ns", seconds(1e-9)(1e4): "10 µs",
		seconds(1e-3)(1): "1 ms", seconds(1e-9)(1e9): "1 s", seconds(1e-9)(0): "0",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
