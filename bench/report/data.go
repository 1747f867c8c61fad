package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// data reads what is drawn. After an error its answers are empty.
type data struct {
	directory string
	err       error
}

// name is what a curve is called in the data and in the plot.
type name struct {
	key, label string
	colour     colour
}

// curve is a line through the medians of all rounds.
type curve struct {
	name
	points []point
}

type point struct{ x, y float64 }

// curves returns a curve of a benchmark for each name: its key stands, with commas between
// them, in the keys that are named last.
func (d *data) curves(file, benchmark, x, y string, names []name, keys ...string) (all []curve) {
	s, err := read(filepath.Join(d.directory, file))
	if err != nil {
		d.err = errors.Join(d.err, err)
		return nil
	}
	for _, n := range names {
		values := map[float64][]float64{}
		for _, one := range s.all {
			var key []string
			for _, k := range keys {
				key = append(key, one.keys[k])
			}
			if one.keys["benchmark"] != benchmark || strings.Join(key, ",") != n.key {
				continue
			}
			at, err := one.number(x)
			if err != nil {
				d.err = errors.Join(d.err, err)
				return nil
			}
			values[at] = append(values[at], one.values[y])
		}
		if len(values) == 0 {
			d.err = errors.Join(d.err, fmt.Errorf("%s has no %s %q", file, benchmark, n.key))
		}
		c := curve{name: n}
		for _, at := range slices.Sorted(maps.Keys(values)) {
			c.points = append(c.points, point{at, median(values[at])})
		}
		all = append(all, c)
	}
	return all
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

// panels returns the deliveries of a benchmark, in thousands, as a table has them: of is
// what stands in its mark.
func (d *data) panels(of string) (panels []panel) {
	t, err := tableOf(d.directory, parseSpec(of, "deliveries/s"))
	if err != nil {
		d.err = errors.Join(d.err, err)
		return nil
	}
	for _, c := range t.columns {
		p := panel{title: strings.ReplaceAll(c.title, "inflight=", "in flight: ")}
		for _, name := range t.sides {
			p.bars = append(p.bars, bar{name, median(slices.Collect(maps.Values(t.values(name, c.unit, c))))})
		}
		panels = append(panels, p)
	}
	return panels
}
