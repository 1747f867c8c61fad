//go:build unix

package worker_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/worker"
)

// TestFlood: 100 MB on standard error hold up nobody, and few of them are logged.
func TestFlood(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	w, s := start(t, "works", worker.Options{Log: slog.New(slog.NewTextHandler(&locked{w: &log, mu: &mu}, nil)), LogRate: 10})
	tell(t, w, "flood", "")
	s.next("flooded")
	mu.Lock()
	defer mu.Unlock()
	if log.Len() == 0 || log.Len() > 1<<20 {
		t.Errorf("%d bytes were logged", log.Len())
	}
}

// TestLastLines: what a child printed last is logged, with a line end or without, and so is
// how much was not.
func TestLastLines(t *testing.T) {
	for rate, want := range map[int]string{1000: "half a line", 10: "dropped=41"} {
		log := make(lines, 100)
		w, err := worker.Start(self(t, "prints a lot and ends", worker.Options{Log: slog.New(slog.NewTextHandler(log, nil)), LogRate: rate}))
		if err != nil {
			t.Fatal(err)
		}
		<-w.Done()
		close(log)
		var text strings.Builder
		for line := range log {
			text.WriteString(line)
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("at %d lines a second there is no %q in %s", rate, want, text.String())
		}
	}
}

// TestLogHeldUp: a log that does not return holds up neither the child nor Shutdown, which it may
// be waiting for.
func TestLogHeldUp(t *testing.T) {
	free := make(chan struct{})
	defer close(free)
	w, s := start(t, "works", worker.Options{Log: slog.New(slog.NewTextHandler(held(free), nil))})
	tell(t, w, "flood", "")
	s.next("flooded")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// held is a log that waits.
type held chan struct{}

func (h held) Write(b []byte) (int, error) {
	<-h
	return len(b), nil
}

type locked struct {
	mu *sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// lines are what is logged.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}
