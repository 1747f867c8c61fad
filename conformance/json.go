package conformance

import (
	"encoding/json"
	"strings"
)

// reportJSON is the schema of a report as JSON. Fields are added to it and never
// taken away or renamed.
type reportJSON struct {
	Name         string           `json:"name"`
	Capabilities capabilitiesJSON `json:"capabilities"`
	Passed       int              `json:"passed"`
	Failed       int              `json:"failed"`
	Skipped      int              `json:"skipped"`
	Laws         []lawJSON        `json:"laws"`
	Skips        []skipJSON       `json:"skips"`
}

// capabilitiesJSON has the fields of Capabilities, all of them, or the conversion does not
// compile.
type capabilitiesJSON struct {
	Topology    Topology `json:"topology"`
	Wire        bool     `json:"wire"`
	Echo        bool     `json:"echo"`
	Relay       bool     `json:"relay"`
	Source      bool     `json:"source"`
	Identity    bool     `json:"identity"`
	Backplane   bool     `json:"backplane"`
	ReceiveOnly bool     `json:"receiveOnly"`
	Reconnects  bool     `json:"reconnects"`
	Resumes     bool     `json:"resumes"`
	Retains     bool     `json:"retains"`
	Replaces    bool     `json:"replaces"`
	AtLeastOnce bool     `json:"atLeastOnce"`
	Ordering    string   `json:"ordering"`
	Delivery    string   `json:"delivery"`
}

type lawJSON struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Class   Class   `json:"class"`
	Verdict string  `json:"verdict"`
	Seen    string  `json:"seen"`
	Seconds float64 `json:"seconds"`
}

type skipJSON struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// MarshalJSON returns the report for programs, as one object:
//
//	name          the harness's name
//	capabilities  the card: topology ("local", "bus", "link", "hub"), ordering and
//	              delivery in words, and true or false for wire, echo, relay,
//	              source, identity, backplane, receiveOnly, reconnects, resumes,
//	              retains, replaces and atLeastOnce
//	passed, failed, skipped
//	              how many laws had that verdict
//	laws          in order, for each its id, name, class ("M", "O", "S"), verdict
//	              ("pass", "fail", "skip"), seen (what a failure saw; empty
//	              otherwise) and the seconds that it took
//	skips         the skipped laws again, for each its id, name and reason
//
// Later versions may add fields; none of these changes.
func (r Report) MarshalJSON() ([]byte, error) {
	caps := capabilitiesJSON(r.Caps)
	caps.Ordering, caps.Delivery = r.Caps.ordering(), r.Caps.delivery()
	out := reportJSON{
		Name: r.Name, Capabilities: caps,
		Passed: r.Count(Passed), Failed: r.Count(Failed), Skipped: r.Count(Skipped),
		Laws: []lawJSON{}, Skips: []skipJSON{},
	}
	for _, result := range r.Results {
		law := lawJSON{
			ID: result.Law.ID, Name: result.Law.Name, Class: result.Law.Class,
			Verdict: strings.ToLower(string(result.Outcome)), Seconds: result.Took.Seconds(),
		}
		switch result.Outcome {
		case Failed:
			law.Seen = result.Detail
		case Skipped:
			out.Skips = append(out.Skips, skipJSON{ID: law.ID, Name: law.Name, Reason: result.Detail})
		}
		out.Laws = append(out.Laws, law)
	}
	return json.Marshal(out)
}
