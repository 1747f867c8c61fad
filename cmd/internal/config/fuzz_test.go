package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad: whatever stands in a file is read, or refused with a line and what to write
// instead.
func FuzzLoad(f *testing.F) {
	for _, c := range append(broken, brokenTogether...) {
		f.Add([]byte(c.text))
	}
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("a: &a {<<: *a}"))
	f.Add([]byte("limits: &l {spokes: 1}\nhttp: {<<: *l, address: :1}"))
	f.Add([]byte("limits: {? [a] : b}\nhttp: {1: 2}"))
	file := filepath.Join(f.TempDir(), "hub.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := Load(Source{File: file})
		if err == nil && c != nil {
			return
		}
		problems, ok := errors.AsType[Problems](err)
		if !ok || len(problems) == 0 {
			t.Fatalf("%q: %v", text, err)
		}
		for _, p := range problems {
			if p.Line < 1 || p.Source != file || !advises.MatchString(p.Text) {
				t.Errorf("%q: %v", text, p)
			}
		}
	})
}
