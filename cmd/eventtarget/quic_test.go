package main_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestQUIC: keys are made, a hub is reached with them from the shell, and its spokes
// over QUIC and WebSocket hear each other.
func TestQUIC(t *testing.T) {
	keygen := func(name string) (file, pin string) {
		file = filepath.Join(t.TempDir(), name)
		out, errs, err := run(t, "", "keygen", file)
		if err != nil {
			t.Fatal(err, errs)
		}
		return file, strings.TrimSpace(out)
	}
	hubKey, hubPin := keygen("hub.key")
	spokeKey, spokePin := keygen("spoke.key")
	urls, _ := startHub(t, "--quic", "127.0.0.1:0", "--key", hubKey, "--allow", spokePin)
	web, quic, _ := strings.Cut(urls, " ")
	if !strings.HasSuffix(quic, "?pin="+hubPin) {
		t.Fatalf("the hub is ready at %q", quic)
	}
	heard := hear(t, connect(t, web), eventtarget.T("a", "*"))
	listen := exec.CommandContext(deadline(t), program, "listen", "--count", "1", quic+"&key="+spokeKey, "b:*")
	errs, err := listen.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	listen.Stdout = &out
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	awaitListening(t, errs)
	if _, errs, err := run(t, "", "dispatch", quic+"&key="+spokeKey, "a", "1", "true"); err != nil {
		t.Fatal(err, errs)
	}
	if e := next(t, heard); e.ID != "1" || string(e.Payload) != "true" {
		t.Errorf("heard %v over WebSocket", e)
	}
	if _, errs, err := run(t, "", "dispatch", web, "b", "2", "false"); err != nil {
		t.Fatal(err, errs)
	}
	if err := listen.Wait(); err != nil || out.String() != `{"type":"b","id":"2","payload":false}`+"\n" {
		t.Errorf("heard %q over QUIC: %v", out.String(), err)
	}
	// Somebody else's key.
	otherKey, _ := keygen("other.key")
	if _, errs, err := run(t, "", "dispatch", "--wait", "5s", quic+"&key="+otherKey, "a", "1"); err == nil || !strings.Contains(errs, "refused by the peer: pin") {
		t.Errorf("with a key that is not allowed: %v, %s", err, errs)
	}
}
