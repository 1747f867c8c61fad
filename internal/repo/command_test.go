package repo

import (
	"encoding/json"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTestCommand is there because a step of continuous integration that is
// named after the race detector need not run it.
func TestTestCommand(t *testing.T) {
	if run := read(t, ".ci/run"); !strings.Contains(run, "make test") {
		t.Errorf(".ci/run does not run make test:\n%s", run)
	}
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make here; where make test runs, there is one")
	}
	script := string(output(t, "make", "-n", "test"))
	commands := regexp.MustCompile(`(?m)\bgo test\b[^|;\n]*`).FindAllString(script, -1)
	if len(commands) == 0 {
		t.Fatalf("make test runs no go test:\n%s", script)
	}
	for _, c := range commands {
		words := strings.Fields(c)
		if !slices.Contains(words, "-race") || !slices.Contains(words, "-shuffle=on") {
			t.Errorf("make test runs %q, without -race or -shuffle=on", c)
		}
	}
	for _, m := range regexp.MustCompile(`-skip '([^']*)'`).FindAllStringSubmatch(script, -1) {
		if !strings.Contains(script, "-run '"+m[1]+"'") {
			t.Errorf("make test skips %s and runs it nowhere", m[1])
		}
	}
	// A directory is tested by itself or in a loop over some.
	var tested []string
	for _, m := range regexp.MustCompile(`(?:for m in ([^;]*); do [^\n]*|step\.sh (\S+) )\bgo test\b[^\n]* \./\.\.\.`).FindAllStringSubmatch(script, -1) {
		tested = append(tested, strings.Fields(m[1]+" "+m[2])...)
	}
	for _, m := range modules(t) {
		if !slices.ContainsFunc(tested, func(s string) bool { return path.Clean(s) == m }) {
			t.Errorf("make test leaves the module in %s out", m)
		}
	}
}

// TestModules checks that the modules agree with go.work: the same version of
// Go, and a copy of the library that is this one.
func TestModules(t *testing.T) {
	want := goVersion(t, "go.work")
	for _, m := range modules(t) {
		file := path.Join(m, "go.mod")
		if got := goVersion(t, file); got != want {
			t.Errorf("%s says go %s, go.work says %s", file, got, want)
		}
		text := read(t, file)
		up := strings.Repeat("../", strings.Count(m, "/")+1)
		if m != "." && !strings.Contains(text, "\nreplace "+strings.TrimSuffix(module, "/")+" => "+up+"\n") {
			t.Errorf("%s does not replace the library with this one", file)
		}
		if m == "." && strings.Contains(text, "\nreplace ") {
			t.Errorf("%s replaces modules, which its users would not see", file)
		}
	}
}

func goVersion(t *testing.T, file string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, file))
	if m == nil {
		t.Fatalf("%s names no version of Go", file)
	}
	return m[1]
}

// modules returns the directories that go.work uses.
func modules(t *testing.T) []string {
	t.Helper()
	var work struct{ Use []struct{ DiskPath string } }
	if err := json.Unmarshal(output(t, "go", "work", "edit", "-json", "go.work"), &work); err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, u := range work.Use {
		dirs = append(dirs, path.Clean(u.DiskPath))
	}
	if !slices.Contains(dirs, ".") {
		t.Fatalf("go.work uses %q", dirs)
	}
	return dirs
}

// TestLockFiles checks that what npm installs is pinned, and comes from where
// npm looks by itself.
func TestLockFiles(t *testing.T) {
	for _, file := range []string{"cmd/eventtarget/testdata/ws-client/package-lock.json", "web/e2e/testdata/package-lock.json"} {
		var lock struct {
			Packages map[string]struct{ Version, Resolved, Integrity string }
		}
		if err := json.Unmarshal([]byte(read(t, file)), &lock); err != nil {
			t.Fatal(err)
		}
		for name, p := range lock.Packages {
			if name == "" {
				continue
			}
			if p.Version == "" || p.Integrity == "" {
				t.Errorf("%s: %s is not pinned", file, name)
			}
			if p.Resolved != "" && !strings.HasPrefix(p.Resolved, "https://registry.npmjs.org/") {
				t.Errorf("%s: %s comes from %s", file, name, p.Resolved)
			}
		}
	}
}
