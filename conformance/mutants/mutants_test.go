package mutants_test

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/conformance/mutants"
)

// TestMain lets more mutants run at once than there are processors: most of the time
// they wait for what never comes.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	m.Run()
}

// TestMutantsDie: every mutant is caught by the laws that it breaks, with a message
// that says so, and every law that must hold everywhere catches some mutant.
func TestMutantsDie(t *testing.T) {
	var mu sync.Mutex
	killers := make(map[string][]string) // mutants by law
	rows := make(map[string]string)
	type survivor struct {
		mutant mutants.Mutant
		law    string
	}
	var survivors []survivor
	t.Run("all", func(t *testing.T) {
		for _, m := range mutants.All() {
			t.Run(m.Name, func(t *testing.T) {
				t.Parallel()
				report := conformance.Check(t.Context(), m.Harness, m.Caught...)
				mu.Lock()
				defer mu.Unlock()
				for _, id := range m.Caught {
					if slices.Contains(report.Failed(), id) {
						killers[id] = append(killers[id], m.Name)
					} else {
						survivors = append(survivors, survivor{m, id})
					}
				}
				for _, r := range report.Results {
					if r.Outcome == conformance.Failed && r.Detail == "" {
						t.Errorf("law %s does not say what it saw", r.Law.ID)
					}
				}
				rows[m.Name] = fmt.Sprintf("%-52s %s\n", m.Name, strings.Join(report.Failed(), " "))
			})
		}
	})
	for _, s := range survivors { // a busy machine hides some faults; alone they show
		const tries = 5
		for try := 1; ; try++ {
			if report := conformance.Check(t.Context(), s.mutant.Harness, s.law); !report.OK() {
				killers[s.law] = append(killers[s.law], s.mutant.Name)
				rows[s.mutant.Name] = strings.TrimSuffix(rows[s.mutant.Name], "\n") + " " + s.law + "\n"
				break
			}
			if try == tries {
				t.Errorf("%s: law %s does not catch it", s.mutant.Name, s.law)
				break
			}
		}
	}
	var matrix strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		matrix.WriteString(rows[name])
	}
	t.Logf("kill matrix:\n%s", &matrix)
	for _, law := range conformance.Laws() {
		if law.Class == conformance.Must && len(killers[law.ID]) == 0 {
			t.Errorf("no mutant dies of law %s (%s)", law.ID, law.Name)
		}
	}
}

// TestOneProcessor: a law about what happens at the same time sees to it that it does, on a
// single processor, too.
func TestOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, m := range mutants.All() {
		if slices.Contains(m.Caught, "A30") && conformance.Check(t.Context(), m.Harness, "A30").OK() {
			t.Errorf("%s: law A30 does not catch it", m.Name)
		}
	}
}
