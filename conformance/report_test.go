package conformance

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// seenReport has a law of every outcome.
func seenReport() Report {
	return Report{
		Name: "a|b",
		Caps: Capabilities{Topology: Hub, Wire: true, Relay: true, Ordering: "total"},
		Results: []Result{
			{Law: Law{ID: "A01", Name: "deliver", Class: Must}, Outcome: Passed, Took: 250 * time.Millisecond},
			{Law: Law{ID: "A02", Name: "listen-before-use", Class: Must}, Outcome: Failed, Detail: "one | two\nstack <x>", Took: time.Second},
			{Law: Law{ID: "C19", Name: "open", Class: Optional}, Outcome: Skipped, Detail: "no Open"},
		},
	}
}

func TestReportCounts(t *testing.T) {
	r := seenReport()
	if r.Count(Passed) != 1 || r.Count(Failed) != 1 || r.Count(Skipped) != 1 {
		t.Errorf("counts are %d, %d, %d", r.Count(Passed), r.Count(Failed), r.Count(Skipped))
	}
	if got := r.Failed(); len(got) != 1 || got[0] != "A02" || r.OK() {
		t.Errorf("failed: %v, OK: %v", got, r.OK())
	}
	r.Results = r.Results[2:]
	if !r.OK() {
		t.Error("a law that was skipped counts as failed")
	}
}

// TestUnknownLaw: a run of a law that there is not is none that has passed.
func TestUnknownLaw(t *testing.T) {
	r := Check(t.Context(), Harness{Name: "any"}, "Z99")
	if failed := r.Failed(); r.OK() || len(failed) != 1 || failed[0] != "Z99" {
		t.Errorf("%v: %s", failed, r.Summary())
	}
}

func TestReportSummary(t *testing.T) {
	const want = "a|b: 1 laws hold, 1 do not, 1 were skipped\n  skipped C19 open: no Open"
	if got := seenReport().Summary(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReportMarkdown(t *testing.T) {
	const want = "### a|b\n\n" +
		"| topology | ordering | delivery | echo | relay | source | reconnects | resumes |\n" +
		"|---|---|---|---|---|---|---|---|\n" +
		"| hub | total | at most once | no | yes | no | no | no |\n\n" +
		"| law | name | class | outcome | |\n" +
		"|---|---|---|---|---|\n" +
		"| A01 | deliver | M | pass |  |\n" +
		"| A02 | listen-before-use | M | FAIL | one \\| two |\n" +
		"| C19 | open | O | skip | no Open |\n"
	if got := seenReport().Markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReportJSON holds the schema that MarshalJSON documents.
func TestReportJSON(t *testing.T) {
	const want = `{
	"name": "a|b",
	"capabilities": {
		"topology": "hub",
		"wire": true,
		"echo": false,
		"relay": true,
		"source": false,
		"identity": false,
		"backplane": false,
		"receiveOnly": false,
		"reconnects": false,
		"resumes": false,
		"retains": false,
		"replaces": false,
		"atLeastOnce": false,
		"ordering": "total",
		"delivery": "at most once"
	},
	"passed": 1,
	"failed": 1,
	"skipped": 1,
	"laws": [
		{
			"id": "A01",
			"name": "deliver",
			"class": "M",
			"verdict": "pass",
			"seen": "",
			"seconds": 0.25
		},
		{
			"id": "A02",
			"name": "listen-before-use",
			"class": "M",
			"verdict": "fail",
			"seen": "one | two\nstack \u003cx\u003e",
			"seconds": 1
		},
		{
			"id": "C19",
			"name": "open",
			"class": "O",
			"verdict": "skip",
			"seen": "",
			"seconds": 0
		}
	],
	"skips": [
		{
			"id": "C19",
			"name": "open",
			"reason": "no Open"
		}
	]
}`
	got, err := json.MarshalIndent(seenReport(), "", "\t")
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
}

// TestReportJSONEmpty: a program need not expect null where a list stands.
func TestReportJSONEmpty(t *testing.T) {
	got, err := json.Marshal(Report{Name: "none"})
	if err != nil || strings.Contains(string(got), "null") {
		t.Errorf("got %s, %v", got, err)
	}
}
