package main

import (
	"slices"
	"strings"
)

// bars is a plot with a panel of horizontal bars for each column of a table, each on a
// scale of its own that begins at nought.
type bars struct {
	title, unit string
	rows        []panel
}

func (b bars) svg() string {
	const left, width, step, top = 150.0, 760.0, 22.0, 76.0
	height := top
	for _, p := range b.rows {
		height += 40 + step*float64(len(p.bars))
	}
	pic := newPicture(width, height, b.title, b.unit)
	y := top
	for _, panel := range b.rows {
		pic.text(24, y+12, "strong", "start", panel.title)
		y += 24
		most := 0.0
		for _, bar := range panel.bars {
			most = max(most, bar.value)
		}
		for _, bar := range panel.bars {
			class, label := orange, ""
			switch {
			case strings.HasPrefix(bar.name, "tcp"):
				class = grey
			case slices.Contains(ours, bar.name):
				class, label = blue, "strong"
			}
			long := (width - left - 90) * bar.value / most
			pic.text(left-10, y+12, label, "end", bar.name)
			pic.put(`<rect class="bar %s" x="%.1f" y="%.1f" width="%.1f" height="16" rx="2"/>`+"\n", class, left, y, max(1, long))
			pic.text(left+long+8, y+12, label, "start", thousands(bar.value))
			y += step
		}
		pic.line("axis", left, y-step*float64(len(panel.bars))-3, left, y-3)
		y += 16
	}
	return pic.end()
}

// ours are the sides of comparisons that are this toolkit's.
var ours = []string{"wsserver", "ssehub", "quichub", "registry", "wire", "toolkit", "worker"}
