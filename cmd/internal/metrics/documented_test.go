package metrics

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestDocumented: the page for operators names the metrics that there are, and their
// labels, and no others.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(eventtarget_[a-z_]+)` \\| ([a-z, ]*?) ?\\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, row[1]+"{"+row[2]+"}")
	}
	m := New()
	descs := make(chan *prometheus.Desc, 100)
	for _, c := range []prometheus.Collector{m, m.events, m.faults, m.unauthorized} {
		c.Describe(descs)
	}
	close(descs)
	var there []string
	text := regexp.MustCompile(`fqName: "([^"]*)".*variableLabels: \{([^}]*)\}`)
	for d := range descs {
		found := text.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("%s", d)
		}
		there = append(there, found[1]+"{"+regexp.MustCompile(`,\s*`).ReplaceAllString(found[2], ", ")+"}")
	}
	slices.Sort(documented)
	slices.Sort(there)
	if !slices.Equal(documented, there) {
		t.Errorf("the page has\n%q, there are\n%q", documented, there)
	}
}
