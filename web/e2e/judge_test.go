package e2e_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// missing is what those who were to hear it have not heard, and no gap speaks of.
func (m *model) missing() (all []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for who, said := range m.said {
		for _, e := range said {
			if e.withdrew {
				continue
			}
			if e.by != nil && !slices.Contains(m.hub[who], e.n) {
				if !m.atRisk(e) {
					all = append(all, fmt.Sprintf("%s %d at the hub", who, e.n))
				}
				continue
			}
			for _, p := range m.targets {
				for _, l := range p.ears {
					if m.misses(p, l, e) {
						all = append(all, fmt.Sprintf("%s %d at %d, listener %d to %s", who, e.n, p.n, l.n, l.name))
					}
				}
			}
		}
	}
	return all
}

// misses tells whether a listener misses an event, without a word.
func (m *model) misses(p *target, l *ear, e *saying) bool {
	if e.by == p || e.to[p.n] != must || !l.topic.Matches(e.topic) || l.sure == 0 || e.at < l.sure {
		return false
	}
	gone := l.removed > 0 || p.closed()
	next := m.told + 1
	for _, h := range l.heard[e.who] {
		switch {
		case h.n == e.n:
			return false
		case h.ordered && h.n > e.n && next > h.line:
			next, gone = h.line, false
		}
	}
	return !gone && !slices.ContainsFunc(p.gaps, func(gap int) bool { return gap > e.line && gap < next })
}

// atRisk tells whether what a target said may have been under way when its session ended.
func (m *model) atRisk(e *saying) bool {
	return e.by.closed() || slices.ContainsFunc(e.by.gaps, func(gap int) bool {
		connected := 0
		for _, line := range e.by.opens {
			if line > e.line && line < gap {
				connected++
			}
		}
		return gap > e.line && (e.open || connected > 1)
	})
}

// check checks what does not depend on when things arrive.
func (m *model) check() {
	m.mu.Lock()
	var wrong []string
	for who, heard := range m.hub {
		if !slices.IsSorted(heard) || len(slices.Compact(slices.Clone(heard))) != len(heard) {
			wrong = append(wrong, fmt.Sprintf("the hub has heard of %s %v", who, heard))
		}
		for _, n := range heard {
			if n >= len(m.said[who]) || m.said[who][n].withdrew {
				wrong = append(wrong, fmt.Sprintf("the hub has heard %s %d", who, n))
			}
		}
	}
	for _, p := range m.targets {
		for event, there := range p.begun {
			who, n, _ := strings.Cut(event, " ")
			for _, l := range there {
				if l.removed == 0 && !slices.ContainsFunc(l.heard[who], func(h hearing) bool { return strconv.Itoa(h.n) == n }) {
					wrong = append(wrong, fmt.Sprintf("of %d's listeners %d has not heard %s", p.n, l.n, event))
				}
			}
		}
		for _, e := range m.said[strconv.Itoa(p.n)] {
			for _, l := range p.ears {
				if !e.withdrew && l.added < e.line && l.removed == 0 && l.topic.Matches(e.topic) && p.begun[fmt.Sprint(e.who, " ", e.n)] == nil {
					wrong = append(wrong, fmt.Sprintf("%d has not heard itself say %d", p.n, e.n))
				}
			}
		}
	}
	m.mu.Unlock()
	if wrong != nil {
		m.fail("%s", strings.Join(wrong, "\n"))
	}
}

// inOrder tells whether a listener is to hear an event behind those that the same one dispatched
// before. What a listener dispatches the next one hears first. Behind a hub's death the next one
// goes on where the target heard something last that was for all: what was dispatched before the
// hub knew of a listener may come behind what was for this one alone.
func (m *model) inOrder(p *target, l *ear, e *saying) bool {
	return e.by != p && e.to[p.n] == must && (!m.again || l.sure > 0 && e.at > l.sure)
}
