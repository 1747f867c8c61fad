// Command report writes the tables of docs/benchmarks.md and draws docs/plots, both from
// what was measured, in docs/data.
//
//	report DOCS            # make report
//	report DOCS DIRECTORY  # prints the tables with other measurements; make bench
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	var err error
	switch len(os.Args) {
	case 2:
		err = write(os.Args[1])
	case 3:
		err = show(os.Args[1], os.Args[2])
	default:
		err = errors.New("usage: report DOCS [DIRECTORY]")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// write brings the tables and the plots up to date.
func write(docs string) error {
	file := filepath.Join(docs, "benchmarks.md")
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	tables, err := fill(string(old), filepath.Join(docs, "data"))
	if err != nil {
		return err
	}
	plots, err := draw(docs)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(tables), 0o644); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(plots)) {
		if err := os.WriteFile(filepath.Join(docs, "plots", name), []byte(plots[name]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// show prints the tables below their headings with the measurements in a directory, as far
// as there are any.
func show(docs, directory string) error {
	document, err := os.ReadFile(filepath.Join(docs, "benchmarks.md"))
	if err != nil {
		return err
	}
	shown := 0
	for _, section := range strings.SplitAfter(string(document), "\n## ") {
		heading, _, _ := strings.Cut(section, "\n")
		for _, m := range mark.FindAllStringSubmatch(section, -1) {
			t, err := tableOf(directory, parseSpec(m[2], m[3]))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return err
			}
			fmt.Printf("## %s (%s)\n\n%s\n", heading, m[2], t.markdown())
			shown++
		}
	}
	if shown == 0 {
		return fmt.Errorf("%s has no measurements of what docs/benchmarks.md shows", directory)
	}
	return nil
}
