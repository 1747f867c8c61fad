package main_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// TestDoctor: what is there is found, and what is not is said with what to do.
func TestDoctor(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "secret")
	bus := "redis://:secret@" + server.Addr
	out, errs, err := run(t, "", "doctor", "--spokes", "10", "--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0", "--backplane", bus, "--backplane", bus+"?prefix=other")
	for _, want := range []string{
		"ok    open files: ", ", enough for 10 spokes\n", "  TCP backlog: ", "  UDP receive buffer: ", "  UDP send buffer: ",
		"ok    tcp 127.0.0.1:0: free\n", "ok    udp 127.0.0.1:0: free\n", "  clock: 20", "ok    redis://" + server.Addr + ": answers in ",
		"ok    redis://" + server.Addr + " (2): answers in ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if err != nil || strings.Contains(out+errs, "secret") {
		t.Errorf("%v\n%s\n%s", err, out, errs)
	}
}

func TestDoctorFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server := redistest.Start(t, "--requirepass", "secret")
	for _, run := range []struct {
		args []string
		want []string
	}{
		{[]string{"--listen", l.Addr().String()}, []string{"FAIL  tcp " + l.Addr().String() + ": ", "in use", "→ end what listens there"}},
		{[]string{"--quic", c.LocalAddr().String()}, []string{"FAIL  udp " + c.LocalAddr().String() + ": ", "in use", "→ end what listens there"}},
		{[]string{"--backplane", "redis://user:secret@127.0.0.1:1", "--wait", "300ms"}, []string{"FAIL  redis://127.0.0.1:1: ", "refused", "→ start it"}},
		{[]string{"--backplane", "redis://:secretive@" + server.Addr, "--wait", "300ms"}, []string{"FAIL  redis://" + server.Addr, "WRONGPASS"}},
		{nil, []string{"FAIL  open files: 200, too few for 1000 spokes\n      → raise the hard limit to 1100 or more: LimitNOFILE="}},
	} {
		args := append([]string{program, "doctor", "--spokes", "1000", "--listen", "127.0.0.1:0"}, run.args...)
		limit := "4096"
		if run.args == nil {
			limit = "200"
		}
		cmd := exec.CommandContext(deadline(t), "sh", append([]string{"-c", "ulimit -n " + limit + ` && exec "$@"`, "sh"}, args...)...)
		out, err := cmd.CombinedOutput()
		for _, want := range run.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%q: %q is missing", run.args, want)
			}
		}
		if err == nil || !strings.Contains(string(out), "a hub would not run: 1 of the checks failed") || strings.Contains(string(out), "secret") {
			t.Errorf("%q: %v\n%s", run.args, err, out)
		}
	}
}
