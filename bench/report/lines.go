package main

import (
	"math"
	"slices"
)

// axis is one of the two of a plot with lines.
type axis struct {
	label  string
	format func(float64) string
	log    bool
}

// lines is a plot with curves, whose names stand at their ends.
type lines struct {
	title, under string
	x, y         axis
	curves       []curve
}

const (
	plotWidth, plotHeight       = 760.0, 430.0
	plotLeft, plotRight         = 84.0, 570.0 // behind it stand the names
	plotTop, plotBottom         = 76.0, 370.0
	labelGap, gridLines, margin = 16.0, 5.0, 1.08
)

// scale brings values to places.
type scale struct {
	axis
	low, high, from, to float64
}

func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log10(v), math.Log10(low), math.Log10(high)
	}
	return s.from + (v-low)/(high-low)*(s.to-s.from)
}

// ticks are where the grid is: powers of ten, or round steps.
func (s scale) ticks() (all []float64) {
	if s.log {
		for v := math.Pow(10, math.Ceil(math.Log10(s.low)-1e-9)); v <= s.high*1.0001; v *= 10 {
			all = append(all, v)
		}
		if len(all) > 2 {
			return all
		}
		all = nil
		for p := math.Pow(10, math.Floor(math.Log10(s.low))); p <= s.high; p *= 10 {
			for _, v := range []float64{p, 2 * p, 5 * p} {
				if v >= s.low*0.9999 && v <= s.high*1.0001 {
					all = append(all, v)
				}
			}
		}
		return all
	}
	step := s.step()
	for v := math.Ceil(s.low/step) * step; v <= s.high*1.0001; v += step {
		all = append(all, v)
	}
	return all
}

// step is a round one that makes about as many ticks as there should be.
func (s scale) step() float64 {
	rough := (s.high - s.low) / gridLines
	p := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, f := range []float64{1, 2, 5} {
		if f*p >= rough {
			return f * p
		}
	}
	return 10 * p
}

func (l lines) scales() (x, y scale) {
	x = scale{l.x, math.Inf(1), 0, plotLeft, plotRight}
	y = scale{l.y, math.Inf(1), 0, plotBottom, plotTop}
	for _, c := range l.curves {
		for _, p := range c.points {
			x.low, x.high = min(x.low, p.x), max(x.high, p.x)
			y.low, y.high = min(y.low, p.y), max(y.high, p.y)
		}
	}
	if y.log {
		y.low, y.high = y.low/1.5, y.high*1.5
	} else {
		y.low, y.high = 0, y.high*margin
	}
	return x, y
}

func (l lines) svg() string {
	p := newPicture(plotWidth, plotHeight, l.title, l.under)
	x, y := l.scales()
	for _, v := range y.ticks() {
		p.line("grid", plotLeft, y.at(v), plotRight, y.at(v))
		p.text(plotLeft-8, y.at(v)+4, "", "end", l.y.format(v))
	}
	for _, v := range x.ticks() {
		p.line("grid", x.at(v), plotTop, x.at(v), plotBottom)
		p.text(x.at(v), plotBottom+18, "", "middle", l.x.format(v))
	}
	p.line("axis", plotLeft, plotBottom, plotRight, plotBottom)
	p.line("axis", plotLeft, plotTop, plotLeft, plotBottom)
	p.text((plotLeft+plotRight)/2, plotBottom+42, "strong", "middle", l.x.title())
	p.put(`<text transform="translate(20 %.1f) rotate(-90)" class="strong" text-anchor="middle">%s</text>`+"\n", (plotTop+plotBottom)/2, l.y.title())
	for _, c := range l.curves {
		p.put(`<polyline class="line %s" points="`, c.colour)
		for _, at := range c.points {
			p.put("%.1f,%.1f ", x.at(at.x), y.at(at.y))
		}
		p.WriteString(`"/>` + "\n")
		for _, at := range c.points {
			p.put(`<circle class="dot %s" cx="%.1f" cy="%.1f" r="3.5"/>`+"\n", c.colour, x.at(at.x), y.at(at.y))
		}
	}
	l.names(p, y)
	return p.end()
}

func (a axis) title() string {
	if a.log {
		return a.label + " (log)"
	}
	return a.label
}

// names writes those of the curves beside their ends, one below the other where they
// would meet.
func (l lines) names(p *picture, y scale) {
	type label struct {
		curve
		at float64
	}
	var all []label
	for _, c := range l.curves {
		if len(c.points) > 0 {
			all = append(all, label{c, y.at(c.points[len(c.points)-1].y) + 4})
		}
	}
	slices.SortFunc(all, func(a, b label) int { return int(math.Copysign(1, a.at-b.at)) })
	for i := 1; i < len(all); i++ {
		all[i].at = max(all[i].at, all[i-1].at+labelGap)
	}
	for _, n := range all {
		p.text(plotRight+12, n.at, "label "+string(n.colour), "start", n.label)
	}
}
