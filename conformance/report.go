package conformance

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Outcome is how a law went.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "pass"
	Failed  Outcome = "FAIL"
	Skipped Outcome = "skip"
)

// Result is one law's outcome.
type Result struct {
	Law     Law
	Outcome Outcome
	Detail  string // what was seen, or why it was skipped
	Took    time.Duration
}

// Report is the outcome of all laws, and with the capabilities the adapter's card.
type Report struct {
	Name    string
	Caps    Capabilities
	Results []Result
}

// Count returns how many laws had an outcome.
func (r Report) Count(o Outcome) int {
	n := 0
	for _, result := range r.Results {
		if result.Outcome == o {
			n++
		}
	}
	return n
}

// Failed returns the ids of the laws that do not hold.
func (r Report) Failed() []string {
	var ids []string
	for _, result := range r.Results {
		if result.Outcome == Failed {
			ids = append(ids, result.Law.ID)
		}
	}
	return ids
}

// OK tells whether no law failed. A law that was skipped was not seen to hold.
func (r Report) OK() bool { return r.Count(Failed) == 0 }

// Summary returns the counts in a line.
func (r Report) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d laws hold, %d do not, %d were skipped",
		r.Name, r.Count(Passed), r.Count(Failed), r.Count(Skipped))
	for _, result := range r.Results {
		if result.Outcome == Skipped {
			fmt.Fprintf(&b, "\n  skipped %s %s: %s", result.Law.ID, result.Law.Name, result.Detail)
		}
	}
	return b.String()
}

// Markdown returns the capability card and a table of the laws.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", r.Name)
	fmt.Fprintf(&b, "| topology | ordering | delivery | echo | relay | source | reconnects | resumes |\n|---|---|---|---|---|---|---|---|\n")
	fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n\n", r.Caps.Topology,
		r.Caps.ordering(), r.Caps.delivery(),
		yes(r.Caps.reaches(0, 0)), yes(r.Caps.Relay), yes(r.Caps.Source), yes(r.Caps.Reconnects), yes(r.Caps.Resumes))
	fmt.Fprintf(&b, "| law | name | class | outcome | |\n|---|---|---|---|---|\n")
	for _, result := range r.Results {
		detail, _, _ := strings.Cut(result.Detail, "\n")
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", result.Law.ID, result.Law.Name, result.Law.Class,
			result.Outcome, strings.ReplaceAll(detail, "|", "\\|"))
	}
	return b.String()
}

// ordering is what the card says of the order.
func (c Capabilities) ordering() string { return cmp.Or(c.Ordering, "per dispatcher") }

// delivery is what the card says of the delivery.
func (c Capabilities) delivery() string {
	if c.AtLeastOnce {
		return cmp.Or(c.Delivery, "at least once")
	}
	return cmp.Or(c.Delivery, "at most once")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
