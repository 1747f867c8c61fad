package main_test

import (
	"bufio"
	"context"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestListenSaysGoodbye ends a listen and looks at what the hub was told: a process that
// ends without a word leaves a session, which the hub keeps for a minute.
func TestListenSaysGoodbye(t *testing.T) {
	left := make(chan eventtarget.Reason, 1)
	lost := func(f eventtarget.Fault) { left <- eventtarget.Reason{Code: eventtarget.CodeLost, Text: f.Error()} }
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
		SessionTimeout: 100 * time.Millisecond,
		OnDisconnect:   func(_ *hub.Spoke, why eventtarget.Reason) { left <- why }, OnFault: lost,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	server := httptest.NewServer(h)
	defer server.Close()
	for range 3 { // it may be lucky
		listen := exec.CommandContext(deadline(t), program, "listen", "--count", "1", "ws"+strings.TrimPrefix(server.URL, "http"), "chat:*")
		listen.Env = append(os.Environ(), "GOMAXPROCS=1") // nothing is done by the side
		errs, err := listen.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := listen.Start(); err != nil {
			t.Fatal(err)
		}
		awaitListening(t, errs)
		if err := h.Dispatch(context.Background(), eventtarget.Event[eventtarget.Raw]{Type: "chat", ID: "1"}); err != nil {
			t.Fatal(err)
		}
		if err := listen.Wait(); err != nil {
			t.Fatal(err)
		}
		if why := <-left; why.Code != eventtarget.CodeNormal {
			t.Fatalf("listen ended with %v", why)
		}
	}
}

// TestListenSaysWhy: who is sent away says why in its last line, which is the one that is read.
func TestListenSaysWhy(t *testing.T) {
	h, err := wsserver.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	server := httptest.NewServer(h)
	defer server.Close()
	listen := exec.CommandContext(deadline(t), program, "listen", "ws"+strings.TrimPrefix(server.URL, "http"), "chat:*")
	errs, err := listen.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(errs)
	awaitListening(t, io.LimitReader(said, int64(len("listening\n"))))
	for s := range h.Spokes() {
		s.Disconnect(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "enough for today"})
	}
	rest, err := io.ReadAll(said)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(rest)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "enough for today") {
		t.Errorf("listen ends with %q", last)
	}
	if err := listen.Wait(); err == nil {
		t.Error("listen that was sent away ends with 0")
	}
}
