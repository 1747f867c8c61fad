package main_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// logged reads lines of a log in JSON, each of which must be an object with the keys that
// every line has.
func logged(t *testing.T, lines string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("this is no JSON: %s", line)
		}
		for _, key := range []string{"time", "level", "msg"} {
			if one[key] == nil {
				t.Errorf("%s is missing in %s", key, line)
			}
		}
		all = append(all, one)
	}
	return all
}

// TestLogJSON: what goes wrong is written for programs, under keys that stay.
func TestLogJSON(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "bad.yaml", "htp: 1\nrelay: maybe\n")
	_, errs, err := run(t, "", "hub", "--log-format", "json", "-c", filepath.Join(dir, "bad.yaml"))
	if err == nil {
		t.Error("a broken configuration is taken")
	}
	for i, one := range logged(t, errs) {
		if want := []string{"htp", "relay"}[i]; one["key"] != want || one["level"] != "ERROR" || !strings.Contains(one["at"].(string), "bad.yaml:") {
			t.Errorf("mistake %d is told as %v", i, one)
		}
	}
	if _, errs, err := run(t, "", "hub", "--log-format", "xml"); err == nil || !strings.Contains(errs, `--log-format: "xml" is none of them; write text or json`) {
		t.Errorf("%v, %s", err, errs)
	}

	put(t, dir, "ann.token", "ann-"+token)
	text := "log-format: json\ntokens:\n  - identity: ann\n    token-file: DIR/ann.token\ntopics:\n  - topic: \"chat:*\"\n    subscribe: [ann]\n"
	hub := runHub(t, dir, text, "EVENTTARGET_NOTHING=1")
	_, errs, err = run(t, "", "dispatch", "--log-format", "json", hub.urls[0]+"?token-file="+filepath.Join(dir, "ann.token"), "chat", "1")
	all := logged(t, errs)
	if err == nil || len(all) != 2 {
		t.Fatalf("%v, %s", err, errs)
	}
	fault, _ := all[0]["fault"].(map[string]any)
	if all[0]["msg"] != "event target fault" || fault["kind"] != "dispatch" || fault["adapter"] != "wsclient" || fault["topic"] != "chat:1" || fault["error"] == nil {
		t.Errorf("the fault is told as %v", all[0])
	}
	if reason, _ := all[1]["err"].(string); all[1]["msg"] != "ended" || !strings.Contains(reason, "no rule lets you dispatch chat:1") {
		t.Errorf("the end is told as %v", all[1])
	}

	if line := logged(t, hub.said("a variable means nothing", 1))[0]; line["variable"] != "EVENTTARGET_NOTHING" || line["level"] != "WARN" {
		t.Errorf("told as %v", line)
	}
	hub.signal(syscall.SIGHUP)
	if line := logged(t, hub.said("reloaded", 1))[0]; line["msg"] != "reloaded" || line["file"] != hub.file || line["withdrawn"] != 0.0 {
		t.Errorf("told as %v", line)
	}
}
