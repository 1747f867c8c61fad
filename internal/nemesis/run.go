package nemesis

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Soak is the environment variable that makes tests run in full.
const Soak = "EVENTTARGET_SOAK"

// Times returns how often something is to be done: n times in a soak, a tenth of that
// otherwise.
func Times(n int) int {
	if os.Getenv(Soak) != "" {
		return n
	}
	return max(1, n/10)
}

// Rand returns a source of random numbers whose seed the test prints when it fails.
func Rand(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // faults need no secret
}

// Await waits until every accepted event was heard, or is told to be missing, as long as
// something is heard in so long a time, and returns the verdict. If it is not good the
// test fails and the history is written to a file.
func (h *History) Await(t testing.TB, most time.Duration) Verdict {
	t.Helper()
	end := time.Now().Add(most)
	began := time.Now()
	v := h.Check()
	for v.LostSilently > 0 && time.Now().Before(end) {
		heard := v.Heard
		time.Sleep(10*time.Millisecond + 4*time.Since(began)) // listeners need the lock, too
		began = time.Now()
		if v = h.Check(); v.Heard > heard {
			end = time.Now().Add(most)
		}
	}
	t.Log(v)
	if !v.OK() {
		t.Errorf("the history is not right: %v", v)
		h.save(t)
	}
	return v
}

func (h *History) save(t testing.TB) {
	f, err := os.Create(filepath.Join(os.TempDir(), "history-"+filepath.Base(t.Name())+".txt"))
	if err != nil {
		t.Log(err)
		return
	}
	defer func() { _ = f.Close() }()
	if _, err := h.WriteTo(f); err != nil {
		t.Log(err)
	}
	t.Logf("the history is in %s", f.Name())
}
