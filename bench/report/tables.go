package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mark stands above a table: <!-- bench: quic FanOutQUIC conns=100; deliveries/s cpu-ns/delivery -->
// names the file, the benchmark, which of it, and the units. What is below, up to the end
// mark, is written by this command.
var mark = regexp.MustCompile(`(?s)(<!-- bench: ([^;]*); ([^>]*) -->\n).*?(<!-- end -->)`)

// fill returns the document with every table as the files of a directory have it.
func fill(document, directory string) (string, error) {
	var failed error
	filled := mark.ReplaceAllStringFunc(document, func(old string) string {
		m := mark.FindStringSubmatch(old)
		t, err := tableOf(directory, parseSpec(m[2], m[3]))
		if err != nil {
			failed = errors.Join(failed, err)
			return old
		}
		return m[1] + t.markdown() + m[4]
	})
	return filled, failed
}

// spec says what a table shows.
type spec struct {
	file  string
	keys  map[string]string // that all of it share
	units []string
}

func parseSpec(of, units string) spec {
	words := strings.Fields(of)
	s := spec{words[0], map[string]string{"benchmark": words[1]}, strings.Fields(units)}
	for _, pair := range words[2:] {
		key, value, _ := strings.Cut(pair, "=")
		s.keys[key] = value
	}
	return s
}

// table compares the sides of one benchmark.
type table struct {
	spec
	samples
	sides   []string
	columns []column
}

// column is one of the conditions in which all sides were measured, or one of the units if
// there is one condition only. With it in brackets stands a second unit.
type column struct {
	title       string
	keys        map[string]string
	unit, aside string
}

func tableOf(directory string, show spec) (*table, error) {
	s, err := read(filepath.Join(directory, show.file+".txt"))
	if err != nil {
		return nil, err
	}
	t := &table{spec: show, samples: s}
	if t.all = s.of(t.keys); len(t.all) == 0 {
		return nil, fmt.Errorf("%s.txt has nothing of %v", t.file, t.keys)
	}
	for _, one := range t.all {
		if !slices.Contains(t.sides, one.keys[side]) {
			t.sides = append(t.sides, one.keys[side])
		}
		t.condition(one)
	}
	if len(t.columns) == 1 { // one for each unit
		only := t.columns[0]
		t.columns = nil
		for _, unit := range t.units {
			t.columns = append(t.columns, column{title: title(unit), keys: only.keys, unit: unit})
		}
	}
	return t, nil
}

// condition adds the column of a sample, if there is none.
func (t *table) condition(one sample) {
	c := column{keys: map[string]string{}, unit: t.units[0]}
	if len(t.units) > 1 {
		c.aside = t.units[1]
	}
	var conditions []string
	for _, key := range one.order {
		if _, shared := t.keys[key]; key != side && !shared {
			c.keys[key] = one.keys[key]
			conditions = append(conditions, key+"="+one.keys[key])
		}
	}
	c.title = strings.Join(conditions, ", ")
	if !slices.ContainsFunc(t.columns, func(o column) bool { return o.title == c.title }) {
		t.columns = append(t.columns, c)
	}
}

// title is what a unit is called in a table.
func title(unit string) string {
	return strings.ReplaceAll(unit, "deliveries/s", "thousand deliveries/s")
}

// values returns what was measured of a side, by the round.
func (t *table) values(name, unit string, c column) map[int]float64 {
	found := map[int]float64{}
	for _, one := range (samples{all: t.all}).of(c.keys) {
		if v, has := one.values[unit]; has && one.keys[side] == name {
			if unit == "deliveries/s" {
				v /= 1000
			}
			found[one.round] = v
		}
	}
	return found
}

func (t *table) markdown() string {
	var b strings.Builder
	row := func(head string, cell func(column) string) {
		b.WriteString("| " + head)
		for _, c := range t.columns {
			b.WriteString(" | " + cell(c))
		}
		b.WriteString(" |\n")
	}
	row("", func(c column) string { return c.title })
	row("---", func(column) string { return "---" })
	own := ""
	for _, name := range t.sides {
		bold := ""
		if first, _, _ := strings.Cut(name, "-"); slices.Contains(ours, first) {
			own, bold = first, "**"
		}
		row(bold+cmp.Or(name, t.keys["benchmark"])+bold, func(c column) string { return t.cell(name, c, bold) })
	}
	for _, name := range t.sides {
		one, other := own, name
		if strings.HasPrefix(name, own+"-") { // the same in another way
			one, other = name, own
		}
		if own != "" && name != own {
			row(one+" / "+other, func(c column) string { return t.ratio(one, other, c) })
		}
	}
	fmt.Fprintf(&b, "\n%s: %s.\n", title(strings.Join(t.units, ", ")), t.circumstances())
	return b.String()
}

// circumstances tells how often, of what and at what load the table was measured.
func (t *table) circumstances() string {
	rounds := 0
	for _, one := range t.all {
		rounds = max(rounds, one.round+1)
	}
	return fmt.Sprintf("%d rounds at a load of %.1f to %.1f; commit %s", rounds, t.load[0], t.load[1], strings.Join(t.commits, ", "))
}

// cell is the median of what was measured, by how much of it the round that is furthest
// away differs, and the median of the second unit.
func (t *table) cell(name string, c column, bold string) string {
	values := slices.Collect(maps.Values(t.values(name, c.unit, c)))
	if len(values) == 0 {
		return ""
	}
	middle, off := median(values), 0.0
	for _, v := range values {
		off = max(off, math.Abs(v/middle-1))
	}
	text := figure(middle)
	if len(values) > 1 && middle != 0 {
		text += fmt.Sprintf(" ±%.0f %%", 100*off)
	}
	if aside := slices.Collect(maps.Values(t.values(name, c.aside, c))); len(aside) > 0 {
		text += " (" + figure(median(aside)) + ")"
	}
	return bold + text + bold
}

// ratio is the median of the ratios of two sides in each round.
func (t *table) ratio(one, other string, c column) string {
	of := func(unit string) (text string) {
		a, b := t.values(one, unit, c), t.values(other, unit, c)
		var ratios []float64
		for round, v := range a {
			if w, both := b[round]; both && w != 0 {
				ratios = append(ratios, v/w)
			}
		}
		if len(ratios) == 0 {
			return ""
		}
		return figure(median(ratios)) + "x"
	}
	text := of(c.unit)
	if aside := of(c.aside); aside != "" {
		text += " (" + aside + ")"
	}
	return text
}

// figure writes a number with as many places as are of use.
func figure(v float64) string {
	switch {
	case v >= 100 || v == math.Trunc(v):
		return thousands(v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}
