package mutants_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/conformance/mutants"
)

// TestMutantsDie: every mutant is caught by the laws that it breaks, with a message
// that says so, and every law that must hold everywhere catches some mutant.
func TestMutantsDie(t *testing.T) {
	killers := make(map[string][]string) // mutants by law
	var matrix strings.Builder
	for _, m := range mutants.All() {
		t.Run(m.Name, func(t *testing.T) {
			report := conformance.Check(t.Context(), m.Harness, m.Caught...)
			failed := report.Failed()
			for _, id := range m.Caught {
				if slices.Contains(failed, id) {
					killers[id] = append(killers[id], m.Name)
				} else {
					t.Errorf("law %s does not catch it", id)
				}
			}
			for _, r := range report.Results {
				if r.Outcome == conformance.Failed && r.Detail == "" {
					t.Errorf("law %s does not say what it saw", r.Law.ID)
				}
			}
			fmt.Fprintf(&matrix, "%-52s %s\n", m.Name, strings.Join(failed, " "))
		})
	}
	t.Logf("kill matrix:\n%s", &matrix)
	for _, law := range conformance.Laws() {
		if law.Class == conformance.Must && len(killers[law.ID]) == 0 {
			t.Errorf("no mutant dies of law %s (%s)", law.ID, law.Name)
		}
	}
}
