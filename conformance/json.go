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

type capabilitiesJSON struct {
	Topology   Topology `json:"topology"`
	Ordering   string   `json:"ordering"`
	Delivery   string   `json:"delivery"`
	Wire       bool     `json:"wire"`
	Echo       bool     `json:"echo"`
	Relay      bool     `json:"relay"`
	Source     bool     `json:"source"`
	Identity   bool     `json:"identity"`
	Backplane  bool     `json:"backplane"`
	Reconnects bool     `json:"reconnects"`
	Resumes    bool     `json:"resumes"`
	Retains    bool     `json:"retains"`
	Replaces   bool     `json:"replaces"`
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
//	              source, identity, backplane, reconnects, resumes, retains and
//	              replaces
//	passed, failed, skipped
//	              how many laws had that verdict
//	laws          in order, for each its id, name, class ("M", "O", "S"), verdict
//	              ("pass", "fail", "skip"), seen (what a failure saw; empty
//	              otherwise) and the seconds that it took
//	skips         the skipped laws again, for each its id, name and reason
//
// Later versions may add fields; none of these changes.
func (r Report) MarshalJSON() ([]byte, error) {
	out := reportJSON{
		Name: r.Name,
		Capabilities: capabilitiesJSON{
			Topology: r.Caps.Topology, Ordering: r.Caps.ordering(), Delivery: r.Caps.delivery(),
			Wire: r.Caps.Wire, Echo: r.Caps.Echo, Relay: r.Caps.Relay, Source: r.Caps.Source,
			Identity: r.Caps.Identity, Backplane: r.Caps.Backplane, Reconnects: r.Caps.Reconnects, Resumes: r.Caps.Resumes,
			Retains: r.Caps.Retains, Replaces: r.Caps.Replaces,
		},
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
