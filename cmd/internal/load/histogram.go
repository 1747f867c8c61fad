package load

import (
	"fmt"
	"io"
	"math"
	"math/bits"
	"strings"
	"time"
)

// Histogram counts durations, each to within 1/32 of its length. The zero Histogram is
// empty. It is not for several goroutines at once.
type Histogram struct {
	counts [1888]uint64 // 32 for each power of two: see slot
	n      uint64
	max    time.Duration
}

// slot is where a duration is counted: the shortest ones have one each, the others
// share one with those that have the same six leading bits.
func slot(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-6, 0)
	return shift*32 + int(v>>shift)
}

// longest is the longest duration that is counted in a slot.
func longest(slot int) time.Duration {
	shift := max(slot/32-1, 0)
	return time.Duration((uint64(slot-shift*32)+1)<<shift - 1)
}

// Add counts a duration. A negative one counts as 0.
func (h *Histogram) Add(d time.Duration) {
	h.counts[slot(d)]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds what another histogram has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.n += other.n
	h.max = max(h.max, other.max)
}

// Since returns what was counted after an earlier copy was made. The longest is known to
// within 1/32 only.
func (h *Histogram) Since(earlier *Histogram) *Histogram {
	var d Histogram
	for i := range h.counts {
		d.counts[i] = h.counts[i] - earlier.counts[i]
		if d.counts[i] > 0 {
			d.max = min(longest(i), h.max)
		}
	}
	d.n = h.n - earlier.n
	return &d
}

// Len returns how many durations were counted.
func (h *Histogram) Len() uint64 { return h.n }

// Max returns the longest duration; 0 if there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns a duration that the part q of all, from 0 to 1, is not longer than.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.n)))
	for i, seen := 0, uint64(0); i < len(h.counts); i++ {
		if seen += h.counts[i]; seen >= rank && seen > 0 {
			return min(longest(i), h.max)
		}
	}
	return h.max
}

// barWidth is how long the longest bar of a plot is.
const barWidth = 50

// Plot draws a bar for each range of durations, in steps of 1, 2, 5, 10.
func (h *Histogram) Plot(w io.Writer) error {
	type row struct {
		upTo time.Duration
		n    uint64
	}
	var rows []row
	i, most := 0, uint64(0)
	for upTo, step := time.Microsecond, 0; i < len(h.counts) && upTo < 10*max(h.max, time.Microsecond); step++ {
		r := row{upTo: upTo}
		for ; i < len(h.counts) && longest(i) <= upTo; i++ {
			r.n += h.counts[i]
		}
		most = max(most, r.n)
		rows = append(rows, r)
		upTo *= 2
		if step%3 == 1 {
			upTo += upTo / 4
		}
	}
	for len(rows) > 0 && rows[0].n == 0 {
		rows = rows[1:]
	}
	for len(rows) > 0 && rows[len(rows)-1].n == 0 {
		rows = rows[:len(rows)-1]
	}
	for _, r := range rows {
		bar := strings.Repeat("#", int((r.n*barWidth+most-1)/most)) // what is there is seen
		if _, err := fmt.Fprintf(w, "  ≤ %-6v %12d %s\n", r.upTo, r.n, bar); err != nil {
			return err
		}
	}
	return nil
}
