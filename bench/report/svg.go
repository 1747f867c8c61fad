package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// colour is the class of a line, a bar or its label: the style says what it looks like, by
// day and by night.
type colour string

const (
	blue   colour = "c1" // ours
	teal   colour = "c2" // ours, in another way
	orange colour = "c3"
	purple colour = "c4"
	green  colour = "c5"
	grey   colour = "c0" // the floor
)

// style tells hues apart for those who do not see all colours, and has a ground of its
// own, so that it does not matter on which page a plot stands.
const style = `<style>
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#57606a}
.title{font-size:16px;font-weight:600;fill:#1f2328}.strong{font-weight:600;fill:#1f2328}
.ground{fill:#ffffff;stroke:#d8dee4}.grid{stroke:#eaeef2}.axis{stroke:#afb8c1}
.line{fill:none;stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}
.c0{--c:#8c959f}.c1{--c:#0b5fd3}.c2{--c:#00857c}.c3{--c:#c2560c}.c4{--c:#8250df}.c5{--c:#4d7c0f}
.line{stroke:var(--c)}.dot,.bar{fill:var(--c)}text.label{fill:var(--c);font-weight:600}
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title,.strong{fill:#f0f6fc}
.ground{fill:#0d1117;stroke:#30363d}.grid{stroke:#21262d}.axis{stroke:#484f58}
.c0{--c:#8b949e}.c1{--c:#58a6ff}.c2{--c:#39c5b7}.c3{--c:#f0883e}.c4{--c:#bc8cff}.c5{--c:#9ac03c}}
</style>
`

// picture is an SVG that is being written.
type picture struct{ strings.Builder }

func newPicture(width, height float64, title, under string) *picture {
	p := &picture{}
	p.put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(title))
	p.WriteString(style)
	p.put(`<rect class="ground" x="0.5" y="0.5" width="%g" height="%g" rx="8"/>`+"\n", width-1, height-1)
	p.text(24, 32, "title", "start", title)
	p.text(24, 52, "", "start", under)
	return p
}

func (p *picture) put(format string, args ...any) { p.WriteString(fmt.Sprintf(format, args...)) }

func (p *picture) text(x, y float64, class, anchor, text string) {
	p.put(`<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, html.EscapeString(text))
}

func (p *picture) line(class string, x1, y1, x2, y2 float64) {
	p.put(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (p *picture) end() string {
	p.WriteString("</svg>\n")
	return p.String()
}

// plain writes a number: 1, 20k.
func plain(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%gk", v/1000)
	}
	return fmt.Sprintf("%g", v)
}

func kilobytes(v float64) string { return fmt.Sprintf("%g kB", v/1000) }

func megabytes(v float64) string { return fmt.Sprintf("%g MB", v/1e6) }

// seconds writes a time that stands in a unit of so many seconds.
func seconds(unit float64) func(float64) string {
	return func(v float64) string {
		v *= unit
		switch {
		case v == 0:
			return "0"
		case v < 1e-6*0.999:
			return fmt.Sprintf("%g ns", round(v*1e9))
		case v < 1e-3*0.999:
			return fmt.Sprintf("%g µs", round(v*1e6))
		case v < 0.999:
			return fmt.Sprintf("%g ms", round(v*1e3))
		}
		return fmt.Sprintf("%g s", round(v))
	}
}

func round(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// thousands writes a number with thin spaces between the thousands.
func thousands(v float64) string {
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}
