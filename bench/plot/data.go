package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// data reads what is drawn. After an error its answers are empty.
type data struct {
	docs string
	err  error
}

// name is what a curve is called in the data and in the plot.
type name struct {
	key, label string
	colour     colour
}

// curve is a line through the medians of all runs.
type curve struct {
	name
	points []point
}

type point struct{ x, y float64 }

// curves returns a curve for each name: its key stands, with commas between them, in the
// columns that are named last.
func (d *data) curves(file, x, y string, names []name, keys ...string) (all []curve) {
	text, err := os.ReadFile(filepath.Join(d.docs, "data", file))
	if err != nil {
		d.err = errors.Join(d.err, err)
		return nil
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 2 {
		d.err = errors.Join(d.err, fmt.Errorf("%s has no figures: %w", file, err))
		return nil
	}
	column := func(row []string, name string) string { return row[slices.Index(rows[0], name)] }
	for _, n := range names {
		values := map[float64][]float64{}
		for _, row := range rows[1:] {
			var key []string
			for _, k := range keys {
				key = append(key, column(row, k))
			}
			if strings.Join(key, ",") == n.key {
				at := d.number(column(row, x))
				values[at] = append(values[at], d.number(column(row, y)))
			}
		}
		c := curve{name: n}
		for _, at := range slices.Sorted(maps.Keys(values)) {
			v := slices.Sorted(slices.Values(values[at]))
			c.points = append(c.points, point{at, v[len(v)/2]})
		}
		all = append(all, c)
	}
	return all
}

func (d *data) number(text string) float64 {
	v, err := strconv.ParseFloat(strings.ReplaceAll(text, " ", ""), 64)
	d.err = errors.Join(d.err, err)
	return v
}

// panel is a column of a table: what was measured of everybody in one way.
type panel struct {
	title string
	bars  []bar
}

type bar struct {
	name  string
	value float64
}

// cell is a figure of a table, which may have others behind it: 25 540 (30).
var cell = regexp.MustCompile(`^\**([0-9][0-9 .]*?) \(`)

// table returns the columns of the first table below a heading of benchmarks.md, without
// the rows that compare.
func (d *data) table(heading string) (panels []panel) {
	text, err := os.ReadFile(filepath.Join(d.docs, "benchmarks.md"))
	d.err = errors.Join(d.err, err)
	_, below, _ := strings.Cut(string(text), heading+"\n")
	below, _, _ = strings.Cut(below, "\n## ")
	for line := range strings.Lines(below) {
		fields := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch first := strings.TrimSpace(fields[0]); {
		case !strings.HasPrefix(line, "|") || strings.HasPrefix(first, "-"):
		case panels == nil:
			for _, f := range fields[1:] {
				panels = append(panels, panel{title: strings.TrimSpace(f)})
			}
		default:
			for i, f := range fields[1:] {
				if m := cell.FindStringSubmatch(strings.TrimSpace(f)); m != nil && i < len(panels) {
					panels[i].bars = append(panels[i].bars, bar{strings.Trim(first, "*"), d.number(m[1])})
				}
			}
		}
	}
	if len(panels) == 0 || len(panels[0].bars) == 0 {
		d.err = errors.Join(d.err, fmt.Errorf("benchmarks.md has no table under %q", heading))
	}
	return panels
}
