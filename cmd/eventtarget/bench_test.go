package main_test

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/internal/redistest"
)

var counted = regexp.MustCompile(`(?m)^  (dispatched|heard|missing|misplaced) +(\d+)`)

// counts returns what bench printed.
func counts(t *testing.T, out string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, m := range counted.FindAllStringSubmatch(out, -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		found[m[1]] = n
	}
	if len(found) != 4 || !regexp.MustCompile(`latency +p50 \S+s  p90 \S+s  p99 \S+s  p99.9 \S+s  max \S+s\n  ≤ `).MatchString(out) {
		t.Fatalf("bench printed\n%s", out)
	}
	return found
}

// TestBench: everything is heard by everybody, at the rate that was asked for.
func TestBench(t *testing.T) {
	url, _ := startHub(t)
	sse := "sse+" + strings.TrimSuffix(strings.Replace(url, "ws:", "http:", 1), "/ws") + "/sse"
	for name, args := range map[string][]string{
		"ws":    {url},
		"sse":   {url, "--hear", sse},
		"mem":   {"mem://bench"},
		"redis": {redistest.Start(t).URL() + "?prefix=bench"},
	} {
		out, errs, err := run(t, "", append([]string{"bench", "--spokes", "3", "--rate", "500", "--time", "2s", "--size", "300"}, args...)...)
		if err != nil {
			t.Errorf("%s: %v\n%s\n%s", name, err, out, errs)
			continue
		}
		if n := counts(t, out); n["dispatched"] != 1000 || n["heard"] != 3000 || n["missing"] != 0 || n["misplaced"] != 0 {
			t.Errorf("%s: bench printed\n%s", name, out)
		}
		if !strings.Contains(errs, "   1s  ") || !strings.Contains(errs, " dispatched/s ") {
			t.Errorf("%s: progress was\n%s", name, errs)
		}
	}
}

// TestBenchAll: without a rate the target sets it.
func TestBenchAll(t *testing.T) {
	url, _ := startHub(t)
	out, errs, err := run(t, "", "bench", "--spokes", "2", "--time", "1s", url)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errs)
	}
	if n := counts(t, out); n["dispatched"] < 1000 || n["heard"] != 2*n["dispatched"] {
		t.Errorf("bench printed\n%s", out)
	}
}

// TestBenchInterrupted: what was seen until then is printed.
func TestBenchInterrupted(t *testing.T) {
	url, _ := startHub(t)
	cmd := exec.CommandContext(deadline(t), program, "bench", "--spokes", "2", "--rate", "1000", "--time", "1h", url)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(errs); lines.Scan() && !strings.Contains(lines.Text(), "dispatched/s"); {
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if n := counts(t, out.String()); n["dispatched"] == 0 || n["heard"] != 2*n["dispatched"] {
		t.Errorf("bench printed\n%s", &out)
	}
}

func TestBenchErrors(t *testing.T) {
	url, _ := startHub(t)
	sse := "sse+" + strings.TrimSuffix(strings.Replace(url, "ws:", "http:", 1), "/ws") + "/sse"
	for want, args := range map[string][]string{
		"unsupported operation": {sse},
		"at least 48":           {url, "--size", "10"},
		"must be positive":      {url, "--spokes", "0"},
		"a hub has to relay":    {"mem://one", "--hear", "mem://other", "--wait", "100ms"},
		"deadline":              {"ws://user:secret@127.0.0.1:1/ws", "--wait", "100ms"},
		"cannot be parsed":      {"ws://user:secret@%zz"},
	} {
		out, errs, err := run(t, "", append([]string{"bench"}, args...)...)
		if err == nil || !strings.Contains(errs, want) || out != "" || strings.Contains(errs, "secret") {
			t.Errorf("%q: %v, %s%s", args, err, out, errs)
		}
	}
}
