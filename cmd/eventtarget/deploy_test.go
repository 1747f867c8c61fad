package main_test

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// found returns what a pattern's group stands for.
func found(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile("(?m)" + pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s is not found in\n%s", pattern, text)
	}
	return m[1]
}

// TestContainerfile: the command that it runs makes a program that needs nothing around it,
// with the Go of this repository; nobody is root, and the port is that of the example.
func TestContainerfile(t *testing.T) {
	text := readFile(t, "deploy/Containerfile")
	if is, want := found(t, text, `^FROM \S+/golang:(\S+) AS build$`), found(t, readFile(t, "../go.mod"), `^go (\d+\.\d+)`); is != want {
		t.Errorf("it builds with Go %s, the module is for %s", is, want)
	}
	if user := found(t, text, `^USER (\d+:\d+)$`); strings.HasPrefix(user, "0:") {
		t.Errorf("it runs as %s", user)
	}
	config := readFile(t, "deploy/hub.yaml")
	if port := found(t, config, `^  address: :(\d+)$`); found(t, text, `^EXPOSE (.*)$`) != port+"/tcp "+port+"/udp" {
		t.Errorf("port %s of the example is not exposed", port)
	}
	var entry []string
	if err := json.Unmarshal([]byte(found(t, text, `^ENTRYPOINT (.*)$`)), &entry); err != nil || len(entry) != 4 || entry[0] != found(t, text, `^COPY --from=build \S+ (/eventtarget)$`) {
		t.Errorf("it starts %q, %v", entry, err)
	}
	built := filepath.Join(t.TempDir(), "eventtarget")
	command := strings.Replace(found(t, text, `^RUN (cd cmd && .*)$`), " /eventtarget ", " "+built+" ", 1)
	build := exec.CommandContext(t.Context(), "sh", "-c", command)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	program, err := elf.Open(built)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if libraries, err := program.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("it needs %q", libraries)
	}
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			t.Error("it needs a loader, which an empty container has not")
		}
	}
}

// TestDeployed: what the unit checks before it starts the hub is good, with the files that
// the example names.
func TestDeployed(t *testing.T) {
	dir := t.TempDir()
	certify(t, dir, 1)
	if err := os.Rename(filepath.Join(dir, "hub.key"), filepath.Join(dir, "hub-tls.key")); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "ann.token", "ann-"+token)
	put(t, dir, "billing.token", "billing-"+token)
	const etc = "/etc/eventtarget"
	put(t, dir, "hub.yaml", strings.ReplaceAll(readFile(t, "deploy/hub.yaml"), etc, dir))
	unit := readFile(t, "deploy/eventtarget.service")
	start := found(t, unit, `^ExecStart=(.*)$`)
	check := found(t, unit, `^ExecStartPre=(.*)$`)
	if check != start+" --check" {
		t.Errorf("%q is checked, and %q started", check, start)
	}
	args := strings.Fields(strings.ReplaceAll(check, etc, dir))
	out, errs, err := run(t, "", args[1:]...)
	if err != nil || !strings.Contains(out, "the configuration is good") {
		t.Errorf("%v, %s%s", err, out, errs)
	}
	if folder := found(t, unit, `^StateDirectory=(\S+)$`); !strings.Contains(unit, "store.folder: /var/lib/"+folder+"\n") {
		t.Errorf("a store belongs into /var/lib/%s, the only folder that can be written", folder)
	}
}
