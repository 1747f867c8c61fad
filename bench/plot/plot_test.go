package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPlots: what is drawn is what was measured. make plots draws it anew.
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
			t.Errorf("docs/plots/%s is not what the data say: run make plots", name)
		}
	}
	drawn, err := filepath.Glob(filepath.Join(docs, "plots", "*.svg"))
	if err != nil || len(drawn) != len(all) {
		t.Errorf("docs/plots has %d plots, want %d: %v", len(drawn), len(all), err)
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
