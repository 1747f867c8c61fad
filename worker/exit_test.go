//go:build unix

package worker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/worker"
)

// TestExit: the last message is heard, then the end is told with status and last words.
func TestExit(t *testing.T) {
	w, s := start(t, "works", worker.Options{})
	tell(t, w, "exit", "7")
	if s.next("last") != "word" {
		t.Error("the last word was not heard")
	}
	exit := s.exit(1)
	if exit.State.ExitCode() != 7 || exit.Stderr != "about to exit\n" {
		t.Errorf("the end was told as %v, %q", exit, exit.Stderr)
	}
	<-w.Done()
	if err := w.Ready(t.Context()); !errors.Is(err, eventtarget.ErrClosed) || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("Ready of a worker that has ended: %v", err)
	}
}

// TestExitUnfinished: what a child is given while it ends by itself, and nobody hears any more,
// is among what it has not finished with.
func TestExitUnfinished(t *testing.T) {
	w, s := start(t, "works", worker.Options{})
	for range 100 {
		tell(t, w, "slow", "") // its end waits for that
	}
	tell(t, w, "exit", "0")
	for e := range s.events {
		if e.Type == "last" {
			break
		}
	}
	const more = 9
	for range more {
		tell(t, w, "mute", "")
	}
	exit, heard := s.exit(1), 0
	if _, text, some := strings.Cut(exit.Stderr, "mutes heard: "); some { // before its listeners had ended
		_, _ = fmt.Sscan(text, &heard)
	}
	if int(exit.Unfinished) < more-heard {
		t.Errorf("%v: %d of %d were heard, and %d are said to be unfinished", exit.State, heard, more, exit.Unfinished)
	}
}
